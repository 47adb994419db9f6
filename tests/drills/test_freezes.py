# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen payouts stay frozen: for the server, for every playbook, and over a reboot; thawed, all is as before."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from drills.fixture import DrillLab
from drills.observe import COMPOSE_DIR, STATE_DIR
from drills.playbook import BIN, INVENTORY, PROJECT, Run
from drills.steps import one_line
from drills.wallets import RPC, look_at_wallets
from lab import escrow
from lab.instance import Lab
from lab.shell import wait_until

ONCALL = "monero_marketplace.incident.oncall"
UNIT = "marketplace-payout-freeze.service"
REASON = "a drill measures the cut"


def payout_freeze(drill: DrillLab, **options: Any) -> dict[str, Any]:
    """The module alone, as a role calls it."""
    site = {"reason": REASON, "project_dir": COMPOSE_DIR, "services": ["server"], "wallet_services": list(RPC.values())}
    environment = drill.controller.environment(drill.artifacts / "payout_freeze.jsonl", "default")
    done = subprocess.run(
        [BIN / "ansible", "-i", INVENTORY, drill.lab.name, "-m", "monero_marketplace.incident.payout_freeze",
         "-a", json.dumps({**site, **options})],
        cwd=PROJECT, env={**environment, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    head, _arrow, answer = done.stdout.partition(" => ")
    assert answer, done.stdout + done.stderr
    assert done.returncode == 0, head + answer
    return dict(json.loads(answer))


def since_boot(lab: Lab, unit: str, stamp: str) -> int:
    """Microseconds; 0 when it never came so far."""
    return int(lab.run(["systemctl", "show", "--value", "--property", f"{stamp}Monotonic", unit], check=True).stdout)


def tables(lab: Lab) -> list[str]:
    return [line for line in lab.run(["nft", "list", "tables"], check=True).stdout.splitlines() if "marketplace_freeze" in line]


def freeze_names_it(run: Run, reason: str = REASON) -> None:
    assert "payouts frozen since" in one_line(run) and f"because {reason}" in one_line(run), run.output
    assert "confirm=thaw:payouts" in run.output, f"the summary does not say how it ends:\n{run.output}"


def nothing_is_left_of_it(lab: Lab, policies: dict[str, str]) -> None:
    seen = look_at_wallets(lab)
    assert seen.policies == policies and set(seen.reached.values()) == {True} and not seen.freezes, seen
    assert tables(lab) == []
    left = lab.run(
        [
            "sh",
            "-c",
            f"ls /etc/systemd/system/*/{UNIT} /etc/systemd/system/{UNIT} /etc/systemd/system/nftables.service.d {STATE_DIR}/freezes/*.nft",
        ]
    ).stdout
    assert left == "", left


@pytest.mark.drill(name="wallet-freeze-reboot", pool="often")
def test_a_freeze_survives_a_reboot_and_is_lifted_exactly(drill: DrillLab) -> None:
    lab = drill.lab
    before, funds = look_at_wallets(lab), escrow.funds(lab)
    assert set(before.reached.values()) == {True}
    containers = drill.look().containers
    frozen = payout_freeze(drill)
    assert frozen["changed"] and frozen["cut"] == "cut" and not frozen["not_done"], frozen
    seen = look_at_wallets(lab)
    assert set(seen.reached.values()) == {False}, "the server still reaches a wallet"
    assert seen.policies == {**before.policies, "server": "no"}
    assert drill.look().containers == containers, "somebody was restarted"
    assert escrow.funds(lab) == funds, "the host does not reach the wallets as before"
    again = payout_freeze(drill, reason="said again")
    assert not again["changed"] and again["freeze"]["reason"] == REASON
    healthy = drill.run("outage", callback=ONCALL)
    assert healthy.status == 0 and healthy.changed == 0, healthy.output
    freeze_names_it(healthy)

    lab.reboot()
    cut = since_boot(lab, UNIT, "InactiveEnterTimestamp")
    for unit in ("docker.service", "docker.socket", "containerd.service"):
        begun = since_boot(lab, unit, "InactiveExitTimestamp")
        assert 0 < cut <= begun, f"{unit} began at {begun} us, the cut was in force at {cut} us"
    assert len(tables(lab)) == 2
    # The host's own firewall empties the whole rule set.
    for what in ("start", "reload", "restart", "stop"):
        lab.run(["systemctl", what, "nftables.service"], check=True)
        assert len(tables(lab)) == 2, f"`systemctl {what} nftables` lifted the cut"
    lab.run(["systemctl", "restart", "docker.service"], check=True)
    run = drill.run("outage", callback=ONCALL)
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    freeze_names_it(run)
    assert drill.look().containers["server"].status == "exited", "a frozen service was started"
    assert "FROZEN since" in one_line(drill.run("status", callback=ONCALL))
    assert "payouts FROZEN since" in one_line(drill.run("triage", callback=ONCALL))

    # A person's own hand starts it: even then it pays nobody.
    lab.docker(["start", str(lab.container("server"))], check=True)
    assert wait_until(lambda: drill.look().containers["server"].status == "running", 20)
    assert set(look_at_wallets(lab).reached.values()) == {False}

    thawed = payout_freeze(drill, state="thawed", reason="the drill is over")
    assert thawed["changed"] and thawed["freezes"] == [], thawed
    nothing_is_left_of_it(lab, before.policies)
    assert not payout_freeze(drill, state="thawed", reason="once more")["changed"]
    (kept,) = lab.run(["sh", "-c", f"cat {STATE_DIR}/freezes/released/*.json"], check=True).stdout.split("\n}\n")[:1]
    assert REASON in kept and "the drill is over" in kept
    restored = drill.run("outage", callback=ONCALL)
    assert restored.status == 0, restored.output
    assert "payouts frozen" not in restored.output
    drill.assert_tidy()


@pytest.mark.drill(name="wallet-freeze-docker-down", pool="rotated")
def test_payouts_are_frozen_while_docker_is_down_too(drill: DrillLab) -> None:
    lab = drill.lab
    policies = look_at_wallets(lab).policies
    drill.break_("docker-stopped")
    frozen = payout_freeze(drill)
    assert "restart policy of server" in frozen["not_done"][0], frozen
    assert lab.run(["systemctl", "is-active", "docker.service"]).stdout.strip() != "active", "freezing awoke Docker"
    lab.run(["systemctl", "start", "docker.socket", "docker.service"], check=True)
    assert wait_until(lab.serves, 60, every=0.5)
    assert set(look_at_wallets(lab).reached.values()) == {False}, "the server that came up with Docker reaches a wallet"
    completed = payout_freeze(drill)
    assert completed["changed"] and not completed["not_done"] and completed["cut"] == "cut", completed
    assert look_at_wallets(lab).policies == {**policies, "server": "no"}
    payout_freeze(drill, state="thawed", reason="the drill is over")
    nothing_is_left_of_it(lab, policies)


@pytest.mark.drill(name="wallet-freeze-unreadable", pool="rotated")
def test_a_freeze_that_cannot_be_read_forbids_every_start(drill: DrillLab) -> None:
    lab = drill.lab
    lab.run(["mkdir", "-p", "-m", "700", f"{STATE_DIR}/freezes"], check=True)
    lab.run(["sh", "-c", f"echo '{{' > {STATE_DIR}/freezes/payouts.json"], check=True)
    drill.break_("killed")
    before = drill.look()
    run = drill.run("outage", callback=ONCALL)
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    freeze_names_it(run, "its file cannot be read")
    drill.assert_unchanged(before, desk_too=False)
    payout_freeze(drill, state="thawed", reason="it was nobody's")
    restored = drill.run("outage", callback=ONCALL)
    assert restored.status == 0, restored.output
    assert os.path.basename(lab.run(["sh", "-c", f"ls {STATE_DIR}/freezes/released/*.frozen"]).stdout.strip()).startswith(
        "payouts-"
    )
    drill.assert_tidy()
