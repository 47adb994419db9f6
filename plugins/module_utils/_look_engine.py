# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What carries the containers: the daemon's process, who lives on without it, its firewall rules, and the boot of the host."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_stop, _engine_files, _engine_process
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import started_at

SETTINGS = "/etc/docker/daemon.json"
# The rules of a daemon that is just starting come one after the other.
SECOND_ASKING_AFTER = 1.0


def look(daemon_state: str, root: str, state_dir: str, timeout: float) -> dict[str, Any]:
    """Cheap while the daemon answers: the boot, and two questions to the firewall."""
    found: dict[str, Any] = {
        "booted_at": _booted_at(),
        "process": None,
        "living": None,
        "interrupted_stop": None,
        "settings_problem": None,
        "firewall": None,
    }
    if not _engine_process.is_local():
        return found
    if daemon_state == "running":
        found["firewall"] = firewall(timeout)
    else:
        found["process"] = _engine_process.describe()
    if daemon_state != "running" or (found["firewall"] or {}).get("missing"):
        found.update(at_stake(root, state_dir))
    return found


def at_stake(root: str, state_dir: str) -> dict[str, Any]:
    """What has to be known before the daemon ends or starts: who would end with it, and whether it would come up again."""
    note = _container_stop.read_note(state_dir)
    return {
        "living": [one.as_dict() for one in _engine_files.living(root)],
        "settings_problem": settings_problem(),
        "interrupted_stop": {"of": note["of"]} if note else None,
    }


def settings_problem(settings: str | None = None) -> str | None:
    """Why a daemon could not even start: then nothing may be stopped for its sake."""
    path = settings or SETTINGS
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as problem:
        return f"{path} is no JSON at line {problem.lineno}, column {problem.colno} ({problem.msg})"
    except (OSError, ValueError) as problem:
        return f"{path} cannot be read ({getattr(problem, 'strerror', None) or 'it is no text'})"
    return None if isinstance(told, dict) else f"{path} holds no JSON object"


def _booted_at() -> str | None:
    """The start of process 1: in a container the kernel's own uptime and boot id are the machine's."""
    at = started_at(1)
    return None if at is None else utc(at)


def firewall(timeout: float) -> dict[str, Any] | None:
    """Which of the engine's own rules are gone; None where it makes none here, or nobody may read them."""
    if not _makes_rules():
        return None
    missing = _missing(timeout)
    if missing:
        time.sleep(SECOND_ASKING_AFTER)
        missing = _missing(timeout)
    return None if missing is None else {"missing": missing}


def _makes_rules(settings: str | None = None) -> bool:
    try:
        with open(settings or SETTINGS, encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        told = {}
    if isinstance(told, dict) and (told.get("iptables") is False or told.get("firewall-backend") == "nftables"):
        return False
    pid = _engine_process.daemon_pid()
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            words = line.read(65536).split(b"\0")
    except OSError:
        return True
    return not any(word.startswith((b"--iptables=false", b"--firewall-backend=nft")) for word in words)


def _missing(timeout: float) -> list[str] | None:
    """By every iptables there is: rules of the other kind, from before a change of alternatives, serve as well."""
    found = None
    for command in ("iptables", "iptables-nft", "iptables-legacy"):
        nat = run([command, "-w", "1", "-t", "nat", "-S"], timeout)
        forward = run([command, "-w", "1", "-S", "FORWARD"], timeout)
        if not nat.ok or not forward.ok:
            continue
        missing = missing_rules(nat.out.decode("utf-8", "replace"), forward.out.decode("utf-8", "replace"))
        if not missing:
            return []
        found = found or missing
    return found


def missing_rules(nat: str, forward: str) -> list[str]:
    """What Docker puts there in every version, and what is not there now."""
    missing = []
    if not re.search(r"(?m)^-N DOCKER$", nat):
        missing.append("nat has no chain DOCKER")
    if not re.search(r"(?m)^-A PREROUTING .*-j DOCKER$", nat):
        missing.append("nat PREROUTING does not lead to it")
    if not re.search(r"(?m)^-A FORWARD .*-j DOCKER", forward):
        missing.append("filter FORWARD leads to no chain of Docker")
    return missing
