# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Backups, and their proof, as the host's own timers make them, without Ansible.

The same code, the same lock, lease, holds and archives. Exit status 0: each role has its backup; 1: one has none; 75: somebody else acts
here or a hold forbids it, try again later.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, contextmanager
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_metrics, _backup_options, _backup_proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_options import DATABASE, WALLET
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, binding, read_holds

DONE, FAILED, LATER = 0, 1, 75
PLAYBOOK = "backup"
PROVE = "prove"
# What each kind is called in names of files and units.
TASKS = {WALLET: "wallets", DATABASE: "database", PROVE: "prove"}
SECRETS = ("passphrase", "key")


class NotNow(IncidentError):
    """Somebody else acts here, or a hold forbids it."""


def settings_of(path: str) -> dict[str, Any]:
    """What the module backup_timer wrote, with each secret from a file of its own."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        secrets = {}
        for name in SECRETS:
            with open(found[f"{name}_file"], encoding="utf-8") as file:
                secrets[name] = file.read(4096).rstrip("\n")
    except (ValueError, KeyError, TypeError):
        raise IncidentError(f"{path} cannot be understood: install the timer again with playbooks/backup.yml.") from None
    return {**found, **secrets}


def _held(state_dir: str) -> str:
    bound = binding(read_holds(Places(state_dir=state_dir, lease_dir="")), PLAYBOOK)
    return f"The hold '{bound[0]['name']}' by {bound[0]['by']} forbids it: {bound[0]['reason']}." if bound else ""


def run(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """One backup of all roles or of the database; or a proof, which changes nothing and waits for nobody."""
    if settings["kind"] == PROVE:
        return _backup_proof.proven(settings)
    state_dir, lease_dir = str(settings["state_dir"]), str(settings["lease_dir"])
    held = _held(state_dir)
    if held:
        raise NotNow(held)
    with _alone(lease_dir, TASKS[settings["kind"]]):
        return _backup_options.backed_up(settings["kind"], settings, lambda: not _held(state_dir))


@contextmanager
def _alone(lease_dir: str, what: str) -> Iterator[None]:
    """acting(), whose refusal is no failure here: the timer comes again."""
    with ExitStack() as stack:
        try:
            stack.enter_context(acting(lease_dir, None, f"the backup of the {what} by this host's timer"))
        except IncidentError as refused:
            raise NotNow(str(refused)) from None
        yield


def told(one: dict[str, Any]) -> list[str]:
    """What the journal says of a role."""
    if "good" in one:
        return _proof(one)
    if one["state"] == "failed":
        return [f"FAILED {one['problem']}"]
    what = f"{len(one['wallets'])} wallets" if one["wallets"] else f"{one['bytes']} bytes"
    lines = [f"{one['role']}: {one['state']} {one['path']} ({what}, sha256 {one['sha256']})"]
    retention = one["retention"] or {}
    if retention.get("removed"):
        lines.append(f"{one['role']}: removed {', '.join(retention['removed'])}")
    if retention.get("why"):
        lines.append(f"{one['role']}: nothing old was removed: {retention['why']}")
    return lines + [f"{one['role']}: note: {note}" for note in one["notes"]]


def _proof(one: dict[str, Any]) -> list[str]:
    if not one["good"]:
        return [f"FAILED {one['role']}: {one['problem']}"]
    lines = [
        f"{one['role']}: good {one['path']} (restored and checked in {one['rto_seconds']:g} s, {one['rpo_seconds']} s old)"
    ]
    return lines + ([f"{one['role']}: note: {one['problem']}"] if one["problem"] else [])


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: backup_KIND SETTINGS.json\n")
        return 2
    try:
        settings = settings_of(arguments[0])
        found = run(settings)
        for one in found:
            sys.stdout.write("\n".join(told(one)) + "\n")
        if settings.get("textfile_dir"):
            kind = settings["kind"]
            _backup_metrics.write(str(settings["textfile_dir"]), TASKS[kind], found, "" if kind == PROVE else kind)
    except NotNow as later:
        sys.stderr.write(f"Not now: {later}\n")
        return LATER
    except (IncidentError, BadUrl) as problem:
        sys.stderr.write(f"FAILED {problem}\n")
        return FAILED
    except OSError as problem:
        sys.stderr.write(f"FAILED {sentence_for(problem)}\n")
        return FAILED
    return DONE if all(one["good"] if "good" in one else one["state"] != "failed" for one in found) else FAILED
