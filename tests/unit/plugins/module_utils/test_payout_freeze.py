# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A payout freeze: three locks of which each holds alone, placed and lifted completely, also when killed in the middle."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.freezes import (
    POLICIES,
    assert_frozen,
    assert_tells_the_truth,
    assert_thawed,
    host_in,
    standing,
)

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze, _payout_freeze_cut
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import (
    frozen_services,
    thaw_words,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze import freeze, thaw


def test_frozen_and_thawed_nothing_is_left_of_it(tmp_path):
    wish, machine = host_in(tmp_path)
    assert freeze(wish, machine).changed
    assert_frozen(wish, machine)
    assert stat.S_IMODE(os.stat(wish.path).st_mode) == stat.S_IMODE(os.stat(wish.rules).st_mode) == 0o600
    assert thaw(replace(wish, by="bob", reason="exchanged"), machine).changed
    assert_thawed(wish, machine)
    (kept,) = Path(wish.folder, "released").glob("*.json")
    assert {**json.loads(kept.read_text())}["released_by"] == "bob"


def test_said_again_nothing_changes_and_the_first_word_stays(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    before = Path(wish.path).read_bytes()
    again = freeze(replace(wish, by="bob", reason="something else"), machine)
    assert not again.changed and Path(wish.path).read_bytes() == before
    thaw(wish, machine)
    assert not thaw(wish, machine).changed


def test_a_freeze_that_stands_gains_the_wallets_that_are_touched_later(tmp_path):
    wish, machine = host_in(tmp_path, wallets=(("vendor", "escrow_2"), ("buyer", ""), ("", "escrow_3")))
    freeze(wish, machine)
    assert standing(wish)[0]["wallets"] == [{"role": "vendor", "wallet": "escrow_2"}]
    more = replace(wish, wallets=(("buyer", "escrow_1"), ("vendor", "escrow_2")))
    assert freeze(more, machine, write=False).changed and freeze(more, machine).changed and not freeze(more, machine).changed
    assert not freeze(replace(wish, wallets=()), machine).changed, "what was touched stays touched"
    assert standing(wish)[0]["wallets"] == [{"role": "buyer", "wallet": "escrow_1"}, {"role": "vendor", "wallet": "escrow_2"}]
    assert_frozen(wish, machine)


@pytest.mark.parametrize("act", [freeze, thaw])
def test_check_mode_only_says_so(tmp_path, act):
    wish, machine = host_in(tmp_path)
    if act is thaw:
        freeze(wish, machine)
    before = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert act(wish, machine, write=False).changed
    assert {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("what", ["kernel", "enabled"])
def test_what_somebody_took_away_is_put_back(tmp_path, what):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    os.unlink(tmp_path / what)
    assert freeze(wish, machine, write=False).changed and freeze(wish, machine).changed
    assert_frozen(wish, machine)


def test_killed_while_freezing_a_rerun_freezes(tmp_path):
    def act(folder: Path) -> Any:
        return freeze(*host_in(folder))

    def converged(folder: Path, _done: Any) -> None:
        wish, machine = host_in(folder)
        assert_frozen(wish, machine)
        thaw(wish, machine)
        assert_thawed(wish, machine)

    assert killed_at_each_effect(tmp_path, host_in, act, converged) > 25


def test_while_docker_is_down_the_rest_is_done_and_the_missing_part_is_said(tmp_path):
    wish, machine = host_in(tmp_path)
    machine.docker = False
    done = freeze(wish, machine)
    assert standing(wish) and machine.enabled() and machine.tables() and machine.policies == POLICIES
    (sentence,) = done.not_done
    assert_tells_the_truth(wish, machine)
    assert not freeze(wish, machine).changed
    assert "restart policy of server" in sentence and "docker.service is inactive" in sentence
    machine.docker = True
    assert freeze(wish, machine).not_done == []
    assert_frozen(wish, machine)


def test_while_docker_is_down_nothing_is_thawed_by_halves(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    machine.docker = False
    with pytest.raises(IncidentError, match="nothing was thawed"):
        thaw(wish, machine)
    machine.docker = True
    assert_frozen(wish, machine)


def test_a_cut_that_fails_does_not_keep_the_restart_policies_on(tmp_path):
    wish, machine = host_in(tmp_path)
    machine.refuses = True
    with pytest.raises(IncidentError, match="nft says no"):
        freeze(wish, machine)
    assert_tells_the_truth(wish, machine)
    assert standing(wish) and [what[1] for what in machine.policies.values()] == ["no", "no", "always"]


def test_two_freezes_each_goes_alone(tmp_path):
    wish, machine = host_in(tmp_path)
    other = replace(wish, name="reconcile", by="bob", wallet_ports=(18083,))
    freeze(wish, machine)
    freeze(other, machine)
    assert "{ 18082, 18083, 18090 } drop" in machine.tables()["inet"]
    thaw(wish, machine)
    assert [one["name"] for one in standing(wish)] == ["reconcile"]
    assert [what[1] for what in machine.policies.values()] == ["no", "no", "always"]
    assert "{ 18083, 18090 } drop" in machine.tables()["inet"]
    thaw(other, machine)
    assert_thawed(wish, machine)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"services": "server"}', '{"services": []}', '{"services": ["server"], "policies": {"aa": 1}}']
)
def test_a_freeze_that_cannot_be_read_freezes_everything(tmp_path, text):
    wish, machine = host_in(tmp_path)
    Path(wish.folder).mkdir(parents=True, mode=0o700)
    Path(wish.path).write_text(text)
    (found,) = standing(wish)
    assert (found["readable"], found["services"]) == (False, [])
    assert list(frozen_services([found])) == ["*"]
    freeze(wish, machine)
    assert_frozen(wish, machine)
    (kept,) = Path(wish.folder, "released").glob("*.unreadable")
    assert kept.read_text() == text


def test_an_unreadable_freeze_is_lifted_by_its_name_and_says_what_is_lost(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    Path(wish.path).write_text("{")
    done = thaw(wish, machine)
    assert done.changed and "restart policies" in done.not_done[0] and standing(wish) == []


def test_the_others_ports_stay_cut_while_one_freeze_cannot_be_read(tmp_path):
    wish, machine = host_in(tmp_path)
    other = replace(wish, name="reconcile", wallet_ports=(18083,))
    freeze(wish, machine)
    freeze(other, machine)
    Path(other.path).write_text("{")
    thaw(wish, machine)
    assert "18082" in machine.tables()["bridge"] and "18083" in machine.tables()["bridge"]
    assert [what[1] for what in machine.policies.values()] == ["no", "no", "always"]


@pytest.mark.parametrize(
    "wrong",
    [{"name": "../../etc/x"}, {"name": ""}, {"reason": "  "}, {"services": ()}, {"wallet_ports": ()}, {"wallet_ports": (0,)}],
)
def test_what_cannot_be_a_freeze_is_refused_before_anything(tmp_path, wrong):
    wish, machine = host_in(tmp_path, **wrong)
    with pytest.raises(IncidentError):
        freeze(wish, machine)
    assert not Path(wish.folder).exists()


def test_nothing_of_what_a_person_wrote_reaches_the_rules(tmp_path):
    wish, machine = host_in(tmp_path, reason='"; flush ruleset\n\x1b[31m')
    freeze(wish, machine)
    assert "flush" not in Path(wish.rules).read_text() + Path(wish.unit).read_text()
    assert "\n" not in standing(wish)[0]["reason"] and "\x1b" not in standing(wish)[0]["reason"]


def test_the_command_that_lifts_it_is_one_word_whatever_the_name():
    assert thaw_words("payouts", "market-1").endswith("--limit market-1 -e confirm=thaw:payouts")
    assert thaw_words("a b; rm", "h").endswith("""-e '{"confirm": "thaw:a b; rm"}'""")


def test_the_unit_comes_before_docker_and_the_rules_replace_themselves(tmp_path):
    text = _payout_freeze_cut.unit("/x/y.nft", "/usr/sbin/nft")
    before = next(line for line in text.splitlines() if line.startswith("Before="))
    assert {"docker.service", "docker.socket", "containerd.service"} <= set(before.removeprefix("Before=").split())
    assert "WantedBy=sysinit.target docker.service docker.socket" in text and "ExecStop" not in text
    assert "RemainAfterExit" not in text, "a start of Docker would not load it again"
    again = _payout_freeze_cut.drop_in("/x/y.nft", "/usr/sbin/nft").splitlines()
    assert {line.partition("=")[0] for line in again if "=-/usr/sbin/nft -f /x/y.nft" in line} == {
        "ExecStartPost", "ExecReload", "ExecStopPost",
    }  # fmt: skip
    rules = _payout_freeze_cut.rules([2, 1])
    assert rules.index("delete table bridge") < rules.index("table bridge marketplace_freeze {") and "{ 1, 2 }" in rules
    assert _payout_freeze.RULES.endswith(".nft")
