# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of causes, its page, its drills and its steps say the same."""

from __future__ import annotations

import re

from ansible_collections.monero_marketplace.incident.plugins.module_utils._causes import HOST_CAUSES, SERVICE_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_causes import FILE_CAUSES, USE_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_steps import ORDER as DATABASE_ORDER
from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import ORDER
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes import DAEMON_CAUSES, WALLET_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_steps import ORDER as WALLET_ORDER
from levels.docs import page
from rules.collection import PROJECT

CAUSES = (*HOST_CAUSES, *SERVICE_CAUSES, *DAEMON_CAUSES, *WALLET_CAUSES, *FILE_CAUSES, *USE_CAUSES)
STEPS = (
    (ORDER, PROJECT / "roles/docker_health/tasks"),
    (WALLET_ORDER, PROJECT / "roles/monero_rpc/tasks"),
    (DATABASE_ORDER, PROJECT / "roles/sqlite_integrity/tasks"),
)


def test_the_page_is_what_the_table_says() -> None:
    assert (PROJECT / "docs/causes.md").read_text(encoding="utf-8") == page(), "script/docs writes the page anew"


def test_a_cause_has_one_entry_and_one_function() -> None:
    names = [cause.name for cause in CAUSES]
    functions = [cause.find for cause in CAUSES]
    assert len(set(names)) == len(names)
    assert len(set(functions)) == len(functions)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_the_drills_that_the_table_names_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests/drills").glob("*.py"))
    known = {f"outage-{name}" for name in re.findall(r'Fault\(\s*"([a-z-]+)"', text)} | set(
        re.findall(r'name="([a-z0-9-]+)"', text)
    )
    of_wallets = re.findall(r'WalletFault\(\s*"([a-z-]+)"', text)
    known |= {name if name.startswith("wallet-") else f"wallet-{name}" for name in of_wallets}
    known |= set(re.findall(r'(?:Database|Damage)Fault\(\s*"([a-z-]+)"', text))
    named = {cause.drill for cause in CAUSES if cause.drill}
    assert named <= known


def test_every_fault_of_the_lab_has_its_drill() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests/drills").glob("*.py"))
    faults = {
        path.stem.replace("_", "-") for path in (PROJECT / "lab/faults").glob("*.py") if "def break_(" in path.read_text()
    }
    assert faults
    told = set(re.findall(r'(?:Fault|break_)\(\s*"([a-z-]+)"', text))
    assert faults - told == set()


def test_the_pages_that_the_table_names_exist() -> None:
    assert all((PROJECT / cause.page).exists() for cause in CAUSES)


def test_every_step_has_its_tasks() -> None:
    assert [step for order, folder in STEPS for step in order if not (folder / f"_{step}.yml").exists()] == []
