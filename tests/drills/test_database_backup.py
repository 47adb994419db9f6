# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest backup is not the newest good one: data_corruption.yml walks back, says why, and says what that costs."""

from __future__ import annotations

import pytest

from drills.fixture import DrillLab
from drills.steps import asked_for, one_line
from drills.test_corruption import ONCALL, PLAYBOOK, closed, restores
from lab.faults import backups

FAULT = "database-page-flip-index"


def no_archive(drill: DrillLab) -> None:
    drill.lab.run(["find", backups.FOLDER, "-mindepth", "1", "-delete"])


def archives(drill: DrillLab) -> list[str]:
    """Names of the archives there are, the newest last."""
    return [path.rpartition("/")[2] for path in backups.archives(drill.lab)]


def walks_back(drill: DrillLab) -> None:
    older, newest = archives(drill)
    drill.break_(FAULT)
    run = drill.run(PLAYBOOK, callback=ONCALL)
    assert run.status != 0 and run.result["outcome"] == "needs_confirmation", run.output
    assert restores(asked_for(run, "restore:*"), older), run.output
    assert newest.removesuffix(backups.ENDING) in one_line(run), f"why not the newest is not said:\n{run.output}"
    assert closed(drill)
    drill.assert_tidy()


@pytest.mark.drill(name="database-backup-newest-corrupt", pool="rotated")
def test_a_damaged_archive_is_passed_over(drill: DrillLab) -> None:
    no_archive(drill)
    drill.break_("backup-newest-corrupt")
    walks_back(drill)


@pytest.mark.drill(name="database-backup-newest-truncated", pool="rotated")
def test_half_an_archive_is_passed_over(drill: DrillLab) -> None:
    no_archive(drill)
    drill.break_("backup-newest-truncated")
    walks_back(drill)


@pytest.mark.drill(name="database-backup-dead-for-days", pool="rotated")
def test_the_age_of_the_newest_backup_is_a_breach(drill: DrillLab) -> None:
    no_archive(drill)
    drill.break_("backup-dead-for-days")
    drill.break_(FAULT)
    (only,) = archives(drill)
    told = drill.run("backup", "--check", callback=ONCALL)
    assert "4 d" in one_line(told), told.output
    run = drill.run(PLAYBOOK, callback=ONCALL)
    assert restores(asked_for(run, "restore:*"), only), run.output
    assert "BREACH" in one_line(run).upper(), f"the age of the backup is not named:\n{run.output}"
    drill.assert_tidy()
