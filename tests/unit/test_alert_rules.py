# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules of the lab, held by Prometheus's own tool: they parse, fire when due, and stay silent else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.stack.project import shorten_alerts

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "lab/stack/rules/marketplace.yml"
RULE_TESTS = Path(__file__).with_name("alert_rules_test.yml")

# The handbook's targets: alert, for, severity, who is told.
WANTED = {
    "ServiceDown": ("1m", "P1", "page"),
    "DatabaseUnavailable": ("1m", "P1", "page"),
    "HighErrorRate": ("2m", "P1", "page"),
    "EscrowStuckCritical": ("5m", "P1", "page"),
    "DiskFull": ("5m", "P2", "page"),
    "WalletRPCUnreachable": ("5m", "P2", "alerts"),
    "MoneroDaemonBehind": ("10m", "P2", "alerts"),
    "DatabaseConnectionPoolSaturation": ("5m", "P2", "alerts"),
    "HighLatency": ("10m", "P2", "alerts"),
    "BackupFailed": ("5m", "P2", "ops"),
    "CertificateExpiring": ("1h", "P3", "ops"),
}


def rules(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: script/bootstrap installs Debian's prometheus"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_rules_are_the_handbooks() -> None:
    found = {
        rule["alert"]: (rule["for"], rule["labels"]["severity"], rule["labels"]["notify"])
        for rule in rules(RULES.read_text(encoding="utf-8"))
    }
    assert found == WANTED


def test_rules_parse(tmp_path: Path) -> None:
    answer = promtool("check", "rules", str(RULES))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    shortened = tmp_path / "rules.yml"
    shortened.write_text(shorten_alerts(RULES.read_text(encoding="utf-8"), "2s"), encoding="utf-8")
    answer = promtool("check", "rules", str(shortened))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_rules_fire_when_due_and_only_then() -> None:
    answer = promtool("test", "rules", str(RULE_TESTS))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_rule_is_tried() -> None:
    tried = set(re.findall(r"alertname: (\w+)\n", RULE_TESTS.read_text(encoding="utf-8")))
    assert tried == set(WANTED)


@pytest.mark.parametrize("alert_for", ["2s", "10s"])
def test_lab_shortens_every_alert_and_nothing_else(alert_for: str) -> None:
    text = RULES.read_text(encoding="utf-8")
    shortened = rules(shorten_alerts(text, alert_for))
    assert {rule["for"] for rule in shortened} == {alert_for}
    assert [{**rule, "for": ""} for rule in shortened] == [{**rule, "for": ""} for rule in rules(text)]
