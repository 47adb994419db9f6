# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over the roles' interface: what is documented, what is checked and what exists are one and the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rules.collection import FQCN, PROJECT, entry_points, load, playbooks, roles, specs, task_files

ROLES = [pytest.param(role, id=role.name) for role in roles()]


def options(role: Path) -> dict[str, Any]:
    """All documented variables of a role, whatever the entry point."""
    return {name: option for spec in specs(role).values() for name, option in spec.get("options", {}).items()}


def defaults(role: Path) -> dict[str, Any]:
    return dict(load(role / "defaults" / "main.yml") or {})


def test_there_are_roles():
    assert {"marketplace", "incident", "docker_health", "service_verify"} <= {role.name for role in roles()}


@pytest.mark.parametrize("role", ROLES)
def test_specs_and_defaults_name_the_same_variables(role):
    required = {name for name, option in options(role).items() if option.get("required")}
    assert set(options(role)) - required == set(defaults(role))


@pytest.mark.parametrize("role", ROLES)
def test_specs_state_the_defaults_that_hold(role):
    # A default in the spec is documentation only; one that is computed cannot be stated there.
    stated = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert stated == {name: value for name, value in defaults(role).items() if name in stated}


@pytest.mark.parametrize("role", ROLES)
def test_every_literal_default_is_stated(role):
    literal = {
        name
        for name, value in defaults(role).items()
        if value not in (None, "", [], {}) and not (isinstance(value, str) and "{{" in value)
    }
    assert {name for name in literal if "default" not in options(role)[name]} == set()


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_a_spec_and_every_spec_an_entry_point(role):
    assert sorted(specs(role)) == entry_points(role)


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_says_what_check_mode_does(role):
    silent = [name for name, spec in specs(role).items() if "check_mode" not in spec.get("attributes", {})]
    assert silent == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_described_and_typed(role):
    assert [name for name, option in options(role).items() if not (option.get("description") and option.get("type"))] == []


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_roles_name(role):
    assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_internal_variables_are_marked_as_such(role):
    internal = load(role / "vars" / "main.yml") if (role / "vars" / "main.yml").exists() else {}
    assert [name for name in internal if not name.startswith(f"__{role.name}_")] == []


def test_every_variable_is_used():
    # By the role itself, its own defaults, or, for what one role hands to another, by a playbook or another role.
    texts = [
        path.read_text(encoding="utf-8") for path in (PROJECT / "roles").rglob("*.yml") if path.parent.name in ("tasks", "vars")
    ]
    computed = [str(value) for role in roles() for value in defaults(role).values() if "{{" in str(value)]
    used = set(re.findall(r"\w+", " ".join([*texts, *computed])))
    assert {name for role in roles() for name in options(role)} - used == set()


# With a default of its own a role also works where the fact is not there.
SITE_FACT = re.compile(r"\bmarketplace_(?!incident)\w+\b(?! *\| *default\()")


@pytest.mark.parametrize("role", ROLES)
def test_site_facts_come_from_the_role_marketplace(role):
    texts = "".join(path.read_text(encoding="utf-8") for part in ("tasks", "vars") for path in (role / part).glob("*.yml"))
    named = [dependency["role"] for dependency in load(role / "meta" / "main.yml")["dependencies"]]
    uses = role.name != "marketplace" and SITE_FACT.search(texts) is not None
    assert uses == (f"{FQCN}.marketplace" in named)


def test_every_site_fact_in_use_is_documented():
    documented = set(options(PROJECT / "roles" / "marketplace"))
    used = {
        name
        for path in [
            *task_files(),
            *playbooks(),
            *(PROJECT / "roles").glob("*/vars/*.yml"),
            *(PROJECT / "inventories").rglob("*.yml"),
        ]
        for name in SITE_FACT.findall(path.read_text(encoding="utf-8"))
    }
    assert used - documented == set()
