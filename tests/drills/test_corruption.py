# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""data_corruption.yml: it keeps what is there, asks, restores the newest good backup, tells every lost row, and opens the shop last."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest

from drills import losses
from drills.database_faults import FAULTS, DatabaseFault
from drills.fixture import DrillLab
from drills.interruption import Interruption, interrupt
from drills.ledger import Ledger
from drills.observe import wait_until_good
from drills.steps import SERVED, asked_for, one_line, plan_changes_nothing, record_is_whole, second_run_does_nothing
from drills.wallets import balances, look_at_wallets
from lab.faults import backups, database, outside, payout_after_backup

ONCALL = "monero_marketplace.incident.oncall"
PLAYBOOK = "data_corruption"
# The server closed: nobody answers, or nginx says so.
CLOSED = {"https": 502, "health": None}


def as_drills() -> list[object]:
    return [
        pytest.param(
            replace(fault, playbook=PLAYBOOK, cause=()),
            id=fault.name,
            marks=pytest.mark.drill(name=fault.name.replace("database-", "database-corruption-"), pool=fault.restored),
        )
        for fault in FAULTS
        if fault.damage
    ]


def backed_up(drill: DrillLab) -> str:
    """One archive of the database as it is now, made by the playbook."""
    drill.lab.run(["find", backups.FOLDER, "-mindepth", "1", "-delete"])
    run = drill.run("backup", callback=ONCALL)
    assert run.status == 0, run.output
    found = backups.archives(drill.lab)
    assert len(found) == 1, found
    return found[0]


def asks_for_a_restore(drill: DrillLab, archive: str) -> tuple[str, ...]:
    """What is there is kept and everybody stays out; the arguments with which it goes on."""
    run = drill.run(PLAYBOOK, callback=ONCALL)
    assert run.status != 0 and run.result["outcome"] == "needs_confirmation", run.output
    confirm = asked_for(run, "restore:*")
    assert restores(confirm, archive.rpartition("/")[2]), confirm
    kept = drill.lab.run(["sh", "-c", f"ls {database.PATH}.CORRUPTED-*"]).stdout
    assert kept, "nothing was kept"
    assert closed(drill), "the database is damaged, and customers are served"
    return ("-e", f"confirm={confirm}")


def restores(confirm: str, archive: str) -> bool:
    """Whether the word is that of this archive; its end is of a hash over what is in it."""
    return re.fullmatch(rf"restore:{re.escape(archive.removesuffix(backups.ENDING))}-[0-9a-f]{{6}}", confirm) is not None


def closed(drill: DrillLab) -> bool:
    return drill.answers()["health"] is None


@pytest.mark.parametrize("fault", as_drills())
def test_corruption(fault: DatabaseFault, drill: DrillLab, chance: random.Random, interruptions: list[Interruption]) -> None:
    ledger, keys = Ledger(drill.lab), look_at_wallets(drill.lab).keys
    archive = backed_up(drill)
    image = losses.orders_of(drill.lab, archive)
    ledger.wait_for_gain()
    drill.break_(fault.name)
    thorough = fault.restored == "often"
    if thorough:
        plan = plan_changes_nothing(fault, drill)
        assert "suspected" in one_line(plan), plan.output

    arguments = asks_for_a_restore(drill, archive)
    truth = losses.true_losses(ledger, image)
    if thorough:
        interruption, _ = interrupt(drill.lab, drill.controller, chance, fault.name, PLAYBOOK, arguments, acts=True)
        interruptions.append(interruption)
        print(interruption)
    final = drill.run(PLAYBOOK, *arguments, callback=ONCALL)
    assert final.status == 0, final.output
    assert drill.answers() == SERVED, "exit status 0, but users are not served"
    wait_until_good(drill.lab, 30)
    assert database.integrity(drill.lab) == ["ok"]
    losses.assert_exact(losses.told_losses(drill.desk), truth, readable=not fault.unreadable)
    assert look_at_wallets(drill.lab).keys == keys, "keys of a wallet have changed"
    record_is_whole(drill)
    drill.assert_tidy()
    if thorough:
        second_run_does_nothing(fault, drill, final)


@pytest.mark.drill(name="database-corruption-new-address", pool="often")
def test_the_proxy_asks_for_the_server_where_it_is_now(drill: DrillLab) -> None:
    lab = drill.lab
    archive, server = backed_up(drill), outside.address_of(lab, outside.container_of(lab, "server"))
    drill.break_("database-page-flip-index")
    arguments = asks_for_a_restore(drill, archive)
    outside.squat(lab, server)
    try:
        final = drill.run(PLAYBOOK, *arguments, callback=ONCALL)
    finally:
        outside.unsquat(lab)
    assert final.status == 0, final.output
    assert "reloaded nginx" in one_line(final), final.output
    assert re.search(r"restored \d+ (s|min) after the freeze \(RTO 30 min\)", one_line(final)), final.output
    assert drill.answers() == SERVED, "exit status 0, but users are not served"
    drill.assert_tidy()


PUT_BACK = """
cd /data && cp "$0-wal" marketplace.db-wal
chown --reference=marketplace.db marketplace.db-wal && chmod --reference=marketplace.db marketplace.db-wal
"""


@pytest.mark.drill(name="database-corruption-put-back", pool="rotated")
def test_a_log_that_was_removed_under_the_server_is_put_back_and_nothing_is_lost(drill: DrillLab) -> None:
    ledger = Ledger(drill.lab)
    archive = backed_up(drill)
    ledger.wait_for_gain()
    drill.break_("database-wal-lost")
    asks_for_a_restore(drill, archive)
    again = drill.run(PLAYBOOK, callback=ONCALL)
    assert again.result["outcome"] == "needs_confirmation" and closed(drill), again.output
    named = re.search(r"of an older moment: .* is only in (\S+) and beside it", one_line(again))
    assert named is not None, again.output
    drill.lab.run(["sh", "-e", "-c", PUT_BACK, named.group(1)], check=True)
    final = drill.run(PLAYBOOK, callback=ONCALL)
    assert final.status == 0 and "mended it by hand" in one_line(final), final.output
    assert drill.answers() == SERVED, "exit status 0, but users are not served"
    assert database.integrity(drill.lab) == ["ok"]
    ledger.assert_nothing_lost()
    drill.assert_tidy()


@pytest.mark.drill(name="database-payout-after-backup", pool="often")
def test_what_was_paid_since_the_backup_is_not_paid_again(drill: DrillLab) -> None:
    """The site's application pays whatever its database calls funded as soon as it starts."""
    lab = drill.lab
    escrows = payout_after_backup.fund(lab, payout_after_backup.ESCROWS)
    archive = backed_up(drill)
    assert {losses.of_archive(lab, archive, losses.ESCROWS)[str(one)] for one in escrows} == {"funded"}
    drill.break_("payout-after-backup")
    database.deploy(lab, BUGS="repay")
    database.must_serve(lab)
    funds = balances(lab)

    arguments = asks_for_a_restore(drill, archive)
    restored = drill.run(PLAYBOOK, *arguments, callback=ONCALL)
    assert restored.status != 0, restored.output
    asked = asked_for(restored, "reopen:*")
    assert re.fullmatch(r"reopen:\d+-mismatches-[0-9a-f]{6}", asked), asked
    assert int(asked.split(":")[1].split("-")[0]) == len(escrows), restored.output
    told = losses.told_losses(drill.desk)
    assert {_number(one["key"]) for one in told if one["table"] == "escrows"} == set(escrows), told
    assert {one["change"] for one in told if one["table"] == "escrows"} == {"changed"}, told
    assert closed(drill), "five escrows would be paid twice, and the server runs"

    lab.reboot()
    again = drill.run(PLAYBOOK, callback=ONCALL)
    assert again.status != 0 and asked_for(again, "reopen:*") == asked, again.output
    assert closed(drill), "five escrows would be paid twice, and the server runs after a reboot"
    assert look_at_wallets(lab).freezes, "the freeze is gone"
    assert balances(lab) == funds, "somebody was paid"
    drill.assert_tidy()


def _number(key: Any) -> int:
    """A primary key alone, or as a list or an object of its columns."""
    if isinstance(key, dict):
        key = list(key.values())
    return int(key[0] if isinstance(key, list) else key)
