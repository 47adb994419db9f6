# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outage.yml left to a person, a person has done: the next run does the rest."""

from __future__ import annotations

import pytest

from drills.fixture import DrillLab
from drills.observe import COMPOSE_DIR
from lab.faults import certificate_expired, clock_skewed

GOOD = {"https": 200, "health": 200}
PROMETHEUS = "http://127.0.0.1:9090"


@pytest.mark.drill(name="outage-operator-renews-certificate", pool="rotated")
def test_a_renewed_certificate_is_taken_in(drill: DrillLab) -> None:
    drill.break_("certificate-expired")
    first = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert first.result["outcome"] == "escalated", first.output
    broken = drill.look()
    certificate_expired.renew(drill.lab)
    assert drill.answers()["https"] is None, "nginx has taken it in by itself, so this proves nothing"

    second = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert (second.status, second.result["outcome"]) == (0, "restored"), second.output
    assert "reloaded nginx" in second.output, second.output
    assert drill.answers() == GOOD
    after = drill.look()
    assert {name: one.started for name, one in after.containers.items()} == {
        name: one.started for name, one in broken.containers.items()
    }, "a certificate is no reason to restart anything"
    third = drill.run("outage", callback="default")
    assert (third.status, third.changed) == (0, 0), third.output


@pytest.mark.drill(name="outage-operator-sets-clock", pool="rotated")
def test_once_the_clock_is_right_the_run_heals(drill: DrillLab) -> None:
    drill.break_("clock-skewed")
    first = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert first.result["outcome"] == "held", first.output
    clock_skewed.heal_(drill.lab)
    second = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert (second.status, second.result["outcome"]) == (0, "restored"), second.output
    assert drill.answers() == GOOD


@pytest.mark.drill(name="verify-unproven", pool="rotated")
def test_without_prometheus_nothing_is_proven(drill: DrillLab) -> None:
    drill.break_("prometheus-down")
    run = drill.run("outage", callback="monero_marketplace.incident.oncall")
    assert "error ratio unproven" in run.output, run.output
    assert PROMETHEUS in run.output, run.output
    assert run.result["down"] is None or run.result["down"]["down_seconds"] is None, run.result["down"]
    assert drill.answers() == GOOD


@pytest.mark.drill(name="outage-value-not-shown", pool="rotated")
def test_the_value_of_a_setting_is_shown_nowhere(drill: DrillLab) -> None:
    settings = drill.lab.run(["cat", f"{COMPOSE_DIR}/.env"], check=True).stdout
    key = settings.split("SESSION_KEY=")[1].split()[0]
    drill.break_("env-missing")
    run = drill.run("outage", "-vvv", callback="default")
    assert "SESSION_KEY" in run.output
    assert key not in run.output, "the value of a setting is in the output"
    assert key not in "".join(path.read_text(errors="replace") for path in drill.desk.rglob("*") if path.is_file())
