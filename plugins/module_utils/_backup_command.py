# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The backup of the wallets as the host's own timer makes it, without Ansible.

The same code, the same lock, lease, holds and archives. Exit status 0: each role has its backup; 1: one has none; 75: somebody else acts
here or a hold forbids it, try again later.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_retention, _wallet_backup, _wallet_jobs
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    draft_of,
    put_in_place,
    remove,
    sentence_for,
    write_all,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, binding, read_holds

DONE, FAILED, LATER = 0, 1, 75
PLAYBOOK = "backup"
METRICS = "marketplace_backup_wallets.prom"


class NotNow(IncidentError):
    """Somebody else acts here, or a hold forbids it."""


def settings_of(path: str) -> dict[str, Any]:
    """What the module backup_timer wrote, with the passphrase from its own file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        with open(found["passphrase_file"], encoding="utf-8") as file:
            passphrase = file.read(4096).rstrip("\n")
    except (ValueError, KeyError, TypeError):
        raise IncidentError(f"{path} cannot be understood: install the timer again with playbooks/backup.yml.") from None
    return {**found, "passphrase": passphrase}


def _held(state_dir: str) -> str:
    bound = binding(read_holds(Places(state_dir=state_dir, lease_dir="")), PLAYBOOK)
    return f"The hold '{bound[0]['name']}' by {bound[0]['by']} forbids it: {bound[0]['reason']}." if bound else ""


def run(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """One backup of all roles."""
    state_dir, lease_dir = str(settings["state_dir"]), str(settings["lease_dir"])
    held = _held(state_dir)
    if held:
        raise NotNow(held)
    order = _wallet_backup.Order(
        site=settings["site"],
        folder=settings["directory"],
        key=Key(settings["passphrase"], settings["recipient"]),
        key_generation=settings["key_generation"],
        minimum_age=float(settings["minimum_age"]),
        retention_days=float(settings["retention_days"]),
        keep_good=int(settings["keep_good"]),
        keep_all=_backup_retention.forbidden(state_dir),
        store_timeout=float(settings["store_timeout"]),
        seconds=float(settings["archive_timeout"]),
        allowed=lambda: not _held(state_dir),
    )
    jobs = _wallet_jobs.jobs(settings["wallets"], int(settings["wallet_port"]), bool(settings["validate_certs"]))
    with _alone(lease_dir):
        return _wallet_backup.backed_up(order, jobs)


@contextmanager
def _alone(lease_dir: str) -> Iterator[None]:
    """acting(), whose refusal is no failure here: the timer comes again."""
    with ExitStack() as stack:
        try:
            stack.enter_context(acting(lease_dir, None, "the backup of the wallets by this host's timer"))
        except IncidentError as refused:
            raise NotNow(str(refused)) from None
        yield


def metrics(found: list[dict[str, Any]], before: str, now: float) -> str:
    """For node-exporter's textfile collector. A role that failed keeps the time of its last success."""
    earlier = dict(line.rsplit(" ", 1) for line in before.splitlines() if line and not line.startswith("#") and " " in line)
    age, size, last = [], [], []
    for one in found:
        labels = f'{{kind="wallet",role="{one["role"]}"}}'
        name = f"marketplace_backup_last_success_timestamp_seconds{labels}"
        done = one["state"] in ("made", "fresh")
        stamp = f"{now - one['age_seconds']:.0f}" if done else earlier.get(name)
        age += [f"{name} {stamp}"] if stamp else []
        size += [f"marketplace_backup_bytes{labels} {one['bytes']}"] if done else []
        last.append(f"marketplace_backup_last_run_success{labels} {int(done)}")
    lines = [
        "# HELP marketplace_backup_last_success_timestamp_seconds When the newest proven archive was made.",
        "# TYPE marketplace_backup_last_success_timestamp_seconds gauge", *age,
        "# HELP marketplace_backup_bytes Its size.", "# TYPE marketplace_backup_bytes gauge", *size,
        "# HELP marketplace_backup_last_run_success Whether the timer's last run left each role with its backup.",
        "# TYPE marketplace_backup_last_run_success gauge", *last,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write_metrics(folder: str, found: list[dict[str, Any]]) -> None:
    path = os.path.join(folder, METRICS)
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read(65536)
    except FileNotFoundError:
        before = ""
    draft = draft_of(path)
    remove(draft)
    # Read by whoever node-exporter runs as; there is nothing secret in it.
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(handle, 0o644)
        write_all(handle, metrics(found, before, time.time()).encode())
    finally:
        os.close(handle)
    put_in_place(draft, path)


def told(one: dict[str, Any]) -> list[str]:
    """What the journal says of a role."""
    if one["state"] == "failed":
        return [f"FAILED {one['problem']}"]
    lines = [f"{one['role']}: {one['state']} {one['path']} ({len(one['wallets'])} wallets, sha256 {one['sha256']})"]
    retention = one["retention"] or {}
    if retention.get("removed"):
        lines.append(f"{one['role']}: removed {', '.join(retention['removed'])}")
    if retention.get("why"):
        lines.append(f"{one['role']}: nothing old was removed: {retention['why']}")
    return lines + [f"{one['role']}: note: {note}" for note in one["notes"]]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: backup_wallets SETTINGS.json\n")
        return 2
    try:
        settings = settings_of(arguments[0])
        found = run(settings)
        for one in found:
            sys.stdout.write("\n".join(told(one)) + "\n")
        if settings.get("textfile_dir"):
            write_metrics(str(settings["textfile_dir"]), found)
    except NotNow as later:
        sys.stderr.write(f"Not now: {later}\n")
        return LATER
    except (IncidentError, BadUrl) as problem:
        sys.stderr.write(f"FAILED {problem}\n")
        return FAILED
    except OSError as problem:
        sys.stderr.write(f"FAILED {sentence_for(problem)}\n")
        return FAILED
    return FAILED if any(one["state"] == "failed" for one in found) else DONE
