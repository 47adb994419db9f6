# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in files: their owner, their mode."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, is_good
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import FRESH_STARTS

# What a service says that is not allowed to do something.
_REFUSED = re.compile(r"permission denied|operation not permitted|EACCES|EPERM", re.IGNORECASE)
_SHOWN = 3


def wrong_owner(view: View, service: dict[str, Any]) -> Finding | None:
    files = (view.storage.get("closed") or {}).get(service["name"]) or []
    needed = [one for one in files if one["needed"]]
    # A file that merely lies beside the service's own is a cause only where the service itself complains.
    suspects = needed or (files if _complains(service) else [])
    if not suspects or not _is_in_trouble(view, service):
        return None
    name = service["name"]
    told = [f"{one['path']} is {one['found']}, wanted {one['wanted']}" for one in suspects]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    found = Finding(
        name,
        f"{name} may not use {listed([one['path'] for one in suspects[:_SHOWN]])}{more}",
        evidence=["; ".join(told[:_SHOWN]) + more],
        details={"files": [{key: one[key] for key in ("path", "owner", "group", "mode")} for one in suspects]},
        reason=f"owner and mode only, of {len(suspects)} named path{'' if len(suspects) == 1 else 's'}",
        log=service["log"],
    )
    others = sorted({other for one in suspects for other in one["others"]})
    if others:
        found.escalate = (
            f"{listed(others)} writes there too, as another user than {name}: whose the files are, a person has to say."
        )
    elif view.tried(name, "own"):
        found.escalate = (
            f"Owner and mode for {name} were mended in this run and are wrong again: something keeps changing them."
        )
    elif needed:
        found.do = "own"
    else:
        found.confirm = f"own:{name}-{_fingerprint(suspects)}"
        if found.confirm in view.site.confirm:
            found.do = "own"
        else:
            found.reason = f"{told[0]}, and whether {name} is meant to use it is not known"
    return found


def _fingerprint(suspects: list[dict[str, Any]]) -> str:
    """A confirmation holds for these paths as they were read, and for no others."""
    said = "\n".join(f"{one['path']} {one['owner']} {one['group']} {one['mode']}" for one in suspects)
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:6]


def _complains(service: dict[str, Any]) -> bool:
    return any(_REFUSED.search(line) for line in [*service["log"], service["probe_output"] or "", service["error"] or ""])


def _is_in_trouble(view: View, service: dict[str, Any]) -> bool:
    endpoint = view.endpoint_of(service["name"])
    well = service["state"] == "running" and service["health"] in ("healthy", "none")
    return service["state"] not in (None, "missing", "paused") and (
        not well or (endpoint is not None and not is_good(endpoint))
    )


def stale_mount(view: View, service: dict[str, Any]) -> Finding | None:
    """It sees a folder as it was when it was started, whatever has become of the disk since."""
    folders = (view.storage.get("stale") or {}).get(service["name"])
    if not folders or service["state"] != "running":
        return None
    name = service["name"]
    found = Finding(
        name,
        f"{name} was started while {listed(folders)} was read-only, and still cannot write there",
        evidence=["its own table of mounts says ro, that of the host rw"],
        log=service["log"],
    )
    if view.tried(name, *FRESH_STARTS):
        found.escalate = f"{name} was started afresh in this run and still cannot write to {listed(folders)}."
    elif name in view.site.careful and f"restart:{name}" not in view.site.confirm:
        found.confirm = f"restart:{name}"
        found.reason = "a restart throws away what a busy wallet or a syncing daemon is doing"
    else:
        found.do = "restart"
        found.reason = "only a restart gives it the folder as it is now"
    return found
