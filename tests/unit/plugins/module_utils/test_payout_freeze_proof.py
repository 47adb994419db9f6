# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server is cut off is claimed only where it was tried."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze_proof as proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._engine_files import Living


def living(service: str, address: str, **more: Any) -> Living:
    return Living(
        container_id=service * 3, name=service, project="shop", service=service, pid=1, started=1, address=address, user="", stop_signal=15,
        stop_timeout=10.0, paused=False, addresses=(address,), gateways=("172.19.0.1",), **more,
    )  # fmt: skip


def proven(
    monkeypatch: pytest.MonkeyPatch, inside: dict[str, str], host: dict[str, str], alive: list[Living]
) -> list[dict[str, Any]]:
    monkeypatch.setattr(proof, "_connect", lambda pid, _targets: host if pid is None else inside)
    return proof.prove("shop", "server", ["buyer"], [18082], alive)


SITE = [living("server", "172.19.0.4"), living("buyer", "172.19.0.6", published=(18090,))]
WAYS = ["172.19.0.6 18082", "172.19.0.1 18090"]


@pytest.mark.parametrize(
    ("inside", "host", "verdict"),
    [
        (dict.fromkeys(WAYS, "silent"), dict.fromkeys(WAYS, "open"), "cut"),
        (dict.fromkeys(WAYS, "silent"), dict.fromkeys(WAYS, "refused"), "cut"),
        ({WAYS[0]: "silent", WAYS[1]: "open"}, dict.fromkeys(WAYS, "open"), "reached"),
        ({WAYS[0]: "refused", WAYS[1]: "silent"}, dict.fromkeys(WAYS, "open"), "reached"),
        (dict.fromkeys(WAYS, "silent"), dict.fromkeys(WAYS, "silent"), "unproven"),
        ({}, dict.fromkeys(WAYS, "open"), "unproven"),
        (dict.fromkeys(WAYS, "silent"), {}, "unproven"),
    ],
)
def test_a_cut_is_claimed_only_where_the_host_gets_through(monkeypatch, inside, host, verdict):
    found = proven(monkeypatch, inside, host, SITE)
    assert [(one["address"], one["port"]) for one in found] == [("172.19.0.6", 18082), ("172.19.0.1", 18090)]
    assert proof.verdict(found) == verdict


@pytest.mark.parametrize(
    ("alive", "words"), [(SITE[1:], "server does not run"), (SITE[:1], "buyer does not run"), ([], "buyer does not run")]
)
def test_where_one_of_the_two_does_not_run_nothing_is_proven(monkeypatch, alive, words):
    found = proven(monkeypatch, dict.fromkeys(WAYS, "silent"), dict.fromkeys(WAYS, "open"), alive)
    assert proof.verdict(found) == "unproven" and words in found[0]["sentence"]


def test_the_program_that_tries_tells_open_from_refused(site):
    port = int(site.url.rpartition(":")[2])
    found = proof._connect(None, [("a", "127.0.0.1", port), ("b", "127.0.0.1", 1)])
    assert found == {f"127.0.0.1 {port}": "open", "127.0.0.1 1": "refused"}
