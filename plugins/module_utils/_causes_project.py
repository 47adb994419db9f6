# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in the project's files: Compose's own, settings, secrets, the certificate."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import human_seconds, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good

# What a service in one of these states needs to be started, its files included.
DOWN = ("exited", "dead", "created", "missing")


def compose_broken(view: View) -> Iterator[Finding]:
    """Half an edit. What runs is left alone, and what only has to be started does not need the file."""
    problem = view.files["problem"]
    if not problem or problem["kind"] not in ("syntax", "invalid"):
        return
    where = problem["file"] or "the Compose file"
    at = (
        f" at line {problem['line']}" + (f", column {problem['column']}" if problem["column"] else "")
        if problem["line"]
        else ""
    )
    yield Finding(
        None,
        problem["sentence"],
        evidence=_out_of_reach(view),
        escalate=f"Mend {where}{at}, then check it with `cd {view.files['directory']} && docker compose config -q`: "
        "until then nothing can be created or deployed here; what runs is left alone.",
    )


def setting_missing(view: View) -> Iterator[Finding]:
    """A value or a file that the next start needs. None is invented."""
    problem = view.files["problem"]
    if not problem or problem["kind"] not in ("missing_variable", "missing_file"):
        return
    directory = view.files["directory"]
    if problem["variable"]:
        wanted = f"Put {problem['variable']} back into {directory}/.env, from where the site keeps its settings"
        holders = [name for name in problem["services"] if name in view.services and view.services[name]["containers"]]
        wanted += f" (the container of {holders[0]} still has its value)" if holders else ""
    else:
        wanted = f"Put {problem['file']} back, from where the site keeps its secrets"
    yield Finding(
        None,
        problem["sentence"],
        evidence=_out_of_reach(view),
        escalate=f"{wanted}, then check with `cd {directory} && docker compose config -q`: the next `docker compose up` fails without it, "
        "and no value is invented for you.",
    )


def _out_of_reach(view: View) -> list[str]:
    """Services of the site that only the file knows."""
    if view.files["problem"]["readable"] or view.daemon["state"] != "running":
        return []
    wanted = (view.site.server_service, view.site.database_service, view.site.proxy_service)
    return [
        f"{name} has no container, and without the file none can be created"
        for name in wanted
        if name and name not in view.services
    ]


def secret_missing(view: View, service: dict[str, Any]) -> Finding | None:
    """It is down, and a start would fail."""
    problem = view.files["problem"]
    if not problem or problem["kind"] != "missing_file" or service["name"] not in problem["services"]:
        return None
    if service["state"] not in DOWN:
        return None
    name = service["name"]
    return Finding(
        name,
        f"{name} is down, and {problem['file']}, which it needs, does not exist",
        escalate=f"{name} is not started while {problem['file']} is missing: the start would fail.",
        log=service["log"],
    )


def certificate_expired(view: View, service: dict[str, Any]) -> Finding | None:
    """Plain HTTP is fine, browsers refuse. A reload helps only where the file holds a better one."""
    endpoint = view.endpoint_of(service["name"])
    if service["state"] != "running" or endpoint is None or is_good(endpoint) or endpoint["error"] != "tls":
        return None
    served = (view.certificates.get("served") or {}).get(endpoint["url"])
    if not served or served["not_after"] > view.clock:
        return None
    name = service["name"]
    found = Finding(
        name,
        f"the certificate of {endpoint['url']} expired {human_seconds(view.clock - served['not_after'])} ago, "
        f"it was valid until {utc(served['not_after'])}",
        evidence=[endpoint_words(one) for one in view.endpoints.values() if is_good(one)],
    )
    file = view.certificates.get("file")
    masters = [one for one in view.network.get("nginx") or [] if one["service"] == name]
    if file is None:
        found.escalate = (
            f"Renew the certificate, then reload {name} (`docker kill -s HUP {service['container_name']}`); nothing is restarted. "
            "With marketplace_certificate_path set, the next run sees a renewed file and reloads by itself."
        )
    elif file["problem"]:
        found.escalate = (
            f"{file['problem']}: set marketplace_certificate_path to the certificate that {name} serves, or renew it."
        )
    elif file["not_after"] <= view.clock:
        found.escalate = (
            f"Renew {file['path']}, which expired {utc(file['not_after'])}, then run this playbook again: it reloads {name}; "
            "nothing is restarted."
        )
    elif view.tried(name, "reload"):
        found.escalate = (
            f"{name} was reloaded in this run and still serves the old certificate: is {file['path']} the file it reads?"
        )
    elif not masters:
        found.escalate = f"{file['path']} was renewed, and {name} has not taken it in: tell it to read its certificate again."
    else:
        found.do = "reload"
        found.details = {"masters": [{"container_id": one["container_id"], "options": one["options"]} for one in masters]}
        found.reason = f"{file['path']} was renewed, valid until {utc(file['not_after'])}"
    return found
