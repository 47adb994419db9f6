# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The dates of certificates, only where an endpoint's was refused."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _certificate


def look(endpoints: list[dict[str, Any]], path: str, timeout: float) -> dict[str, Any] | None:
    """served by URL, each null where it could not be had; file is null where no path is known."""
    refused = [one["url"] for one in endpoints if one["error"] == "tls"]
    if not refused:
        return None
    return {
        "served": {url: _certificate.served(url, timeout) for url in refused},
        "file": _certificate.in_file(path) if path else None,
    }
