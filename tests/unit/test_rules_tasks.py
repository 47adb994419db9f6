# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over every task: acting only under guard, names in full, no secret where others can read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rules.collection import FQCN, PROJECT, Task, entry_points, every_task, load, module, place, roles, specs, strings, tasks

READING = {
    *(f"ansible.builtin.{name}" for name in ("assert", "debug", "fail", "ping", "set_fact", "set_stats", "stat", "slurp")),
    *(
        f"{FQCN}.{name}"
        for name in (
            "backup_info",
            "compose_info",
            "escrow_reconcile_info",
            "http_probe",
            "incident_info",
            "monero_info",
            "prometheus_query",
            "site_changes_info",
            "sqlite_info",
            "wallet_files_info",
        )
    ),
}
INCLUDING = {f"ansible.builtin.{how}_{what}" for how in ("include", "import") for what in ("tasks", "role")}
GUARD = {"name": f"{FQCN}.incident", "tasks_from": "guard"}
# A payment of the site's own: nothing of ours changes, and the module itself asks for lease, hold and freeze in the call that acts.
PROVING = {f"{FQCN}.escrow_test"}
# No way to ask first, to know what changed, or to stop.
FORBIDDEN = {f"ansible.builtin.{name}" for name in ("pause", "raw", "script", "shell", "expect")}

# A question over HTTP; with any method but its default it may be an order.
ASKING = "ansible.builtin.uri"

# The role incident is the guard; it writes only its own lease and record.
ACTING_ROLES = [role for role in roles() if role.name != "incident"]
ENTRIES = [pytest.param(role, name, id=f"{role.name}/{name}") for role in ACTING_ROLES for name in entry_points(role)]


def reads(task: Task) -> bool:
    """Whether a task cannot change anything."""
    return (
        module(task) in READING | PROVING
        or (module(task) == ASKING and "method" not in task[ASKING] and "dest" not in task[ASKING])
        # It lays an image ready in a scratch of its own, and touches nothing of the site.
        or (module(task) == f"{FQCN}.backup_restore" and task[module(task)].get("state") == "planned")
        # A module of ours that is never run but in check mode only says what it would do.
        or (task.get("check_mode") is True and module(task).startswith(f"{FQCN}."))
    )


def steps(folder: Path, name: str, seen: tuple[str, ...] = ()) -> Iterator[Task]:
    """The tasks of a file in the order in which they can run, with those of the files it includes in their place."""
    for task in tasks(load(folder / f"{name}.yml")):
        if module(task) not in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks"):
            yield task
            continue
        # A file whose name is computed may be any of them: _{{ step }}.yml
        wanted = re.sub(r"\\{\\{.*?\\}\\}", ".*", re.escape(str(task[module(task)])).replace(r"\ ", " "))
        for file in sorted(folder.glob("*.yml")):
            if re.fullmatch(wanted, file.name) and file.stem not in seen:
                yield from steps(folder, file.stem, (*seen, name))


def first_unguarded(listed: Iterator[Task]) -> Task | None:
    """The first task that may change something before guard was asked."""
    for task in listed:
        called = module(task)
        if called.endswith("include_role") and {key: task[called].get(key) for key in GUARD} == GUARD:
            return None
        if not reads(task) and called not in INCLUDING:
            return task
    return None


@pytest.mark.parametrize(("role", "name"), ENTRIES)
def test_nothing_is_changed_before_guard(role, name):
    assert first_unguarded(steps(role / "tasks", name)) is None


@pytest.mark.parametrize(("role", "name"), ENTRIES)
def test_an_acting_entry_point_begins_with_guard(role, name):
    own = load(role / "tasks" / f"{name}.yml")
    acts = any(not reads(task) and module(task) not in INCLUDING for task in steps(role / "tasks", name))
    delegates = all(reads(task) or module(task) in INCLUDING for task in tasks(own)) and name == "main"
    begins = first_unguarded(iter([own[0], {"ansible.builtin.command": "anything"}])) is None
    assert not acts or delegates or begins


def test_the_repairs_that_exist_are_seen_as_acting():
    acting = {
        f"{role.name}/{name}"
        for role in ACTING_ROLES
        for name in entry_points(role)
        if any(not reads(task) and module(task) not in INCLUDING for task in steps(role / "tasks", name))
    }
    assert acting == {
        "backup/database",
        "backup/main",
        "backup/timer",
        "backup/wallets",
        "database_restore/main",
        "database_restore/reconcile",
        "database_restore/reopen",
        "database_restore/restore",
        "docker_health/main",
        "docker_health/repair",
        "docker_health/free_disk",
        "docker_health/reload_proxy",
        "monero_rpc/main",
        "monero_rpc/repair",
        "sqlite_integrity/main",
        "sqlite_integrity/preserve",
        "sqlite_integrity/repair",
        "wallet_restore/restore",
    }


def test_a_repair_without_guard_would_be_seen():
    listed = yaml.safe_load("[{name: Look, ansible.builtin.ping: {}}, {name: Act, community.docker.docker_compose_v2: {}}]")
    assert first_unguarded(iter(listed)) == listed[1]


def offenders(wrong: Callable[[Task], object]) -> list[str]:
    """Tasks for which something is wrong, as a person finds them."""
    return [f"{place(path)}: {task.get('name')}" for path, task in every_task() if wrong(task)]


def test_modules_and_roles_are_named_in_full():
    assert offenders(lambda task: module(task).count(".") != 2) == []
    assert (
        offenders(lambda task: module(task).endswith("_role") and not task[module(task)]["name"].startswith(f"{FQCN}.")) == []
    )


def test_no_module_that_cannot_be_planned_or_bounded():
    assert offenders(lambda task: module(task) in FORBIDDEN) == []


def test_no_failure_is_swallowed():
    # What only reads may fail into a fact that says so; nothing that acts may.
    assert offenders(lambda task: "ignore_errors" in task) == []
    assert offenders(lambda task: task.get("failed_when") is False and not (reads(task) and "register" in task)) == []


def test_an_order_over_http_would_be_seen():
    assert reads({"ansible.builtin.uri": {"url": "http://x"}})
    assert not reads({"ansible.builtin.uri": {"url": "http://x", "method": "POST"}})


def test_no_write_claims_to_change_nothing():
    assert offenders(lambda task: task.get("changed_when") is False and module(task) not in READING) == []


def test_nothing_is_handed_over_by_environment():
    # It shows in ps as part of the command line, and with -vvv.
    assert offenders(lambda task: "environment" in task) == []


def secrets() -> set[str]:
    """Variables that the specs call secret."""
    return {
        name
        for role in roles()
        for spec in specs(role).values()
        for name, option in spec.get("options", {}).items()
        if option.get("no_log")
    }


def shown(task: Task, names: set[str]) -> set[str]:
    """Secrets that would show in ps, in output or in a log."""
    called = module(task)
    visible = [task.get("name"), task.get("loop_control"), task.get("vars")]
    if called in ("ansible.builtin.command", "ansible.builtin.debug", "ansible.builtin.fail", "ansible.builtin.assert"):
        visible.append(task[called])
    return {name for text in strings(visible) for name in names if re.search(rf"\b{name}\b", text)}


def test_no_secret_is_shown():
    names = secrets()
    assert offenders(lambda task: shown(task, names)) == []


def wallets_gone_over(task: Task) -> bool:
    """Whether a loop's items are wallets as the inventory has them, with their passwords: Ansible shows each item with its result."""
    loop = task.get("loop")
    return isinstance(loop, str) and bool(re.search(r"\b\w*_wallets\b(?!\s*\|\s*map\(attribute=)", WALLETS_FOUND.sub("", loop)))


# What a module has found out about wallets holds no secret.
WALLETS_FOUND = re.compile(r"\b\w+\.(?:monero\.)?wallets\b")


def test_no_loop_goes_over_wallets_with_their_passwords():
    assert offenders(wallets_gone_over) == []


def test_a_loop_over_wallets_would_be_seen():
    assert wallets_gone_over({"loop": "{{ __database_restore_wallets | selectattr('service', 'in', x) | list }}"})
    assert not wallets_gone_over({"loop": "{{ __database_restore_wallets | map(attribute='service') | list }}"})
    assert not wallets_gone_over({"loop": "{{ __database_restore_monero.monero.wallets | list }}"})


def test_a_secret_on_a_command_line_would_be_seen():
    task = {"name": "Restore", "ansible.builtin.command": {"argv": ["gpg", "{{ marketplace_backup_passphrase }}"]}}
    assert shown(task, {"marketplace_backup_passphrase"}) == {"marketplace_backup_passphrase"}


def asked_without_key(task: Task) -> bool:
    """Whether the database is asked as if none was encrypted, or big."""
    asked = task.get(f"{FQCN}.sqlite_info")
    if asked is None:
        return False
    return "marketplace_database_key" not in str(asked.get("key")) or not {"copy_timeout", "check_timeout"} <= set(asked)


def test_whoever_asks_the_database_has_its_key_and_time_enough():
    assert offenders(asked_without_key) == []
    assert asked_without_key({f"{FQCN}.sqlite_info": {"path": "{{ marketplace_database_path }}"}})


# Ansible's own filters and Jinja's have one word; lookups and our filters are named in full.
OWN_PLUGIN = re.compile(
    r"\b(?:lookup|query)\(\s*['\"](?!\w+\.\w+\.)|\|\s*(?:incident|docker_health|monero_rpc|service_verify|sqlite_integrity)_\w+"
)


def test_filters_and_lookups_are_named_in_full():
    assert offenders(lambda task: any(OWN_PLUGIN.search(text) for text in strings(task))) == []
    files = [*(PROJECT / "roles").glob("*/defaults/*.yml"), *(PROJECT / "roles").glob("*/vars/*.yml")]
    assert [(place(path), text) for path in files for text in strings(load(path)) if OWN_PLUGIN.search(text)] == []


def test_no_command_of_a_repair_can_last_for_ever():
    # What only sends a signal or resets a counter returns at once.
    quick = ("kill", "systemctl")
    commands = [
        str(task["ansible.builtin.command"]["argv"])
        for path, task in every_task()
        if any(role in str(path) for role in ("docker_health", "monero_rpc", "sqlite_integrity"))
        and "ansible.builtin.command" in task
    ]
    assert commands
    assert [
        argv
        for argv in commands
        if not re.search(r"__(?:docker_health|monero_rpc|sqlite_integrity)_within", argv)
        and not any(word in argv for word in quick)
    ] == []
