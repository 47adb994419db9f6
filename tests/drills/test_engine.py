# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outage.yml does to the engine itself, judged by the host's own journal and by the wallets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from drills.fixture import DrillLab
from drills.observe import STATE_DIR
from lab.instance import Lab

WALLETS = ("monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor", "monero-wallet-rpc-arbiter")
HOLD = f"{STATE_DIR}/holds/drill.json"

# Runs on the host: the height of each wallet, asked by curl, by its container's address.
HEIGHTS = r"""
import glob, json, subprocess, sys
with open("/opt/marketplace/4.5/docker/secrets/wallet_rpc_login") as file:
    login = file.read().strip().replace("rpc-login=", "user=")
heights = {}
for path in glob.glob("/var/lib/docker/containers/*/config.v2.json"):
    with open(path) as file:
        note = json.load(file)
    service = note["Config"]["Labels"].get("com.docker.compose.service", "")
    if service in sys.argv[1:] and note["State"]["Running"]:
        address = [one["IPAddress"] for one in note["NetworkSettings"]["Networks"].values()][0]
        question = json.dumps({"jsonrpc": "2.0", "id": "0", "method": "get_height", "params": {}})
        said = subprocess.run(["curl", "-s", "-m", "20", "--config", "-", "--digest", "http://%s:18082/json_rpc" % address, "-d", question],
                              input=login, capture_output=True, text=True).stdout
        heights[service] = json.loads(said or "{}").get("result", {}).get("height")
print(json.dumps(heights))
"""


def heights(lab: Lab) -> dict[str, int]:
    found: dict[str, int] = json.loads(lab.run(["python3", "-c", HEIGHTS, *WALLETS], check=True).stdout)
    return found


def journal(lab: Lab, since: str) -> list[tuple[int, str, str]]:
    """What the host's journal says since then: when, who, what."""
    lines = lab.run(["journalctl", "--output=json", "--no-pager", f"--after-cursor={since}"], check=True).stdout.splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [
        (int(one["__REALTIME_TIMESTAMP"]), str(one.get("SYSLOG_IDENTIFIER")), str(one.get("MESSAGE")))
        for one in entries
        if isinstance(one.get("MESSAGE"), str)
    ]


def cursor(lab: Lab) -> str:
    told = lab.run(["journalctl", "--lines=0", "--show-cursor", "--no-pager"], check=True).stdout
    return told.rpartition("-- cursor: ")[2].strip()


def when(told: list[tuple[int, str, str]], who: str, begins: str) -> list[int]:
    return [at for at, speaker, line in told if who in speaker and line.startswith(begins)]


def assert_left_cleanly(told: list[tuple[int, str, str]], started: int) -> None:
    """Every wallet stored, then everything stopped, those that need others first, then Docker."""
    stored = [at for wallet in WALLETS for at in when(told, "monero_wallet", f"wallet of {wallet}: stored")]
    assert len(stored) == len(WALLETS), told
    asked = {
        service: when(told, "container_stop", f"SIGTERM to {service} ") for service in (*WALLETS, "server", "monerod", "nginx")
    }
    gone = {service: when(told, "container_stop", f"{service} (pid ") for service in asked}
    assert all(len(times) == 1 for times in (*asked.values(), *gone.values())), (asked, gone)
    assert max(stored) < min(times[0] for times in asked.values()), "something was stopped before every wallet was stored"
    assert gone["nginx"][0] <= asked["server"][0]
    assert all(gone["server"][0] <= asked[wallet][0] and gone[wallet][0] <= asked["monerod"][0] for wallet in WALLETS)
    assert gone["monerod"][0] < started, "Docker was started before monerod had ended"


@pytest.mark.drill(name="outage-engine-killed-order", pool="often")
def test_store_stop_start(drill: DrillLab) -> None:
    drill.break_("docker-killed")
    before, since = heights(drill.lab), cursor(drill.lab)
    assert set(before) == set(WALLETS) and all(before.values()), before

    run = drill.run("outage", "-e", "confirm=start_docker:11-containers", callback="monero_marketplace.incident.oncall")
    assert run.status == 0, run.output

    told = journal(drill.lab, since)
    starts = when(told, "systemd", "Starting docker.service") + when(told, "systemd", "Starting Docker")
    assert len(starts) == 1, starts
    assert_left_cleanly(told, starts[0])
    assert not [line for _at, _who, line in told if "SIGKILL" in line]
    assert drill.answers() == {"https": 200, "health": 200}
    after = heights(drill.lab)
    assert set(after) == set(WALLETS)
    # The server opens its wallets a moment after it is healthy; until then none is open, and none is lower.
    assert all(after[wallet] is None or after[wallet] >= before[wallet] for wallet in WALLETS), (before, after)


@pytest.mark.drill(name="outage-engine-killed-wallet-silent", pool="rotated")
def test_a_wallet_that_does_not_answer_stops_it_all(drill: DrillLab) -> None:
    """What is not on disk is not stopped: the run leaves everything as it is, and says why."""
    pid = drill.lab.run(["pgrep", "--oldest", "--exact", "monero-wallet-r"], check=True).stdout.strip()
    drill.break_("docker-killed")
    drill.lab.run(["kill", "-STOP", pid], check=True)
    since = cursor(drill.lab)
    run = drill.run("outage", "-e", "confirm=start_docker:11-containers", callback="monero_marketplace.incident.oncall")
    told = journal(drill.lab, since)
    drill.lab.run(["kill", "-CONT", pid], check=True)
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    assert "not_responding" in run.output and "the daemon was not started" in run.output, run.output
    assert not when(told, "container_stop", "SIGTERM"), "something was stopped though a wallet was not on disk"
    assert drill.lab.run(["systemctl", "is-active", "docker"]).stdout.strip() == "failed"
    drill.assert_tidy()


@pytest.mark.drill(name="outage-engine-killed-stays", pool="rotated")
def test_what_does_not_end_is_named_and_not_killed(drill: DrillLab) -> None:
    """Docker stays down until it has ended; then the same command goes on where it stopped."""
    keeper = drill.lab.run(["pgrep", "--full", "^python3 -u /opt/database/keeper.py"], check=True).stdout.strip()
    drill.break_("docker-killed")
    drill.lab.run(["kill", "-STOP", keeper], check=True)
    confirm = ("-e", "confirm=start_docker:11-containers")
    since = cursor(drill.lab)
    run = drill.run("outage", *confirm, callback="monero_marketplace.incident.oncall")
    told = journal(drill.lab, since)
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    assert re.search(r"database \(pid \d+\) lives on", run.output.replace("\n       ", " ")), run.output
    assert not when(told, "container_stop", "SIGTERM to monerod"), "what others need was stopped before them"
    assert drill.lab.run(["systemctl", "is-active", "docker"]).stdout.strip() == "failed"
    assert drill.lab.run(["kill", "-0", keeper]).returncode == 0, "it was killed"

    drill.lab.run(["kill", "-CONT", keeper], check=True)
    run = drill.run("outage", *confirm, callback="monero_marketplace.incident.oncall")
    assert run.status == 0, run.output
    whole = journal(drill.lab, since)
    assert len(when(whole, "container_stop", "SIGTERM to database")) == 1, "it was told twice"
    assert drill.answers() == {"https": 200, "health": 200}


@pytest.mark.drill(name="outage-engine-reboot-hold", pool="rotated")
def test_a_hold_outlives_a_reboot(drill: DrillLab) -> None:
    hold = {"reason": "evidence first", "by": "drill", "since": "2026-11-24T02:00:00Z", "playbooks": []}
    drill.lab.run(["mkdir", "-p", "-m", "700", STATE_DIR, HOLD.rpartition("/")[0]], check=True)
    drill.lab.run(["sh", "-c", f"umask 077; cat > {HOLD}"], check=True, stdin=json.dumps(hold))
    drill.break_("host-rebooted")
    before = drill.look()
    run = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert run.status != 0 and run.result["outcome"] == "held", run.output
    assert "evidence first" in run.output and "rebooted" in run.output, run.output
    after = drill.look()
    assert {name: one.started for name, one in after.containers.items()} == {
        name: one.started for name, one in before.containers.items()
    }
    assert set(drill.answers().values()) == {None}, "something was started under a hold"
    drill.lab.run(["rm", HOLD], check=True)
    run = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert run.status == 0, run.output
    assert drill.answers() == {"https": 200, "health": 200}
