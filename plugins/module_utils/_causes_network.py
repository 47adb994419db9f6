# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes between the containers, and between them and the outside."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good


def port_dead(view: View, service: dict[str, Any]) -> Finding | None:
    """Well inside, out of reach from the host."""
    endpoint = view.endpoint_of(service["name"])
    if service["state"] != "running" or service["health"] != "healthy" or endpoint is None or is_good(endpoint):
        return None
    if endpoint["error"] not in ("refused", "unreachable", "unresolved"):
        return None
    return Finding(
        service["name"],
        f"{service['name']} runs but does not serve ({endpoint_words(endpoint)})",
        symptom=True,
        log=service["log"],
        escalate=f"{service['name']} is healthy inside, but {endpoint['url']} is {endpoint['error']} from the host: "
        f"the published port is dead. Look at `docker port {service['container_name']}` and the firewall; "
        "a restart is no cure for that.",
    )
