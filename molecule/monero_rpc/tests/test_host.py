# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wallets after role monero_rpc, asked by curl inside their own containers."""

from __future__ import annotations

import json
from typing import Any

import pytest

ROLES = ("buyer", "vendor", "arbiter")
LOGIN = "sed 's/^rpc-login=/user=/' /run/secrets/wallet_rpc_login"


def asked(host: Any, role: str, method: str) -> dict[str, Any]:
    """What a wallet RPC says to a question without parameters."""
    question = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": {}})
    script = f"{LOGIN} | curl -sf -m 10 --config - --digest http://127.0.0.1:18082/json_rpc -d '{question}'"
    said = host.run("docker exec marketplace-monero-wallet-rpc-%s-1 sh -c %s", role, script)
    assert said.rc == 0, said.stderr
    return dict(json.loads(said.stdout))


def started(host: Any) -> dict[str, str]:
    names = host.check_output("docker ps --filter name=monero --format '{{.Names}}'").split()
    told = host.check_output("docker inspect --format '{{.Name}} {{.State.StartedAt}}' " + " ".join(names))
    return dict(line.strip("/").split(" ") for line in told.splitlines())


@pytest.mark.parametrize("role", ROLES)
def test_its_wallet_is_open(host, role):
    assert asked(host, role, "get_height")["result"]["height"] > 1


def test_all_three_are_of_one_escrow(host):
    addresses = {asked(host, role, "get_address")["result"]["address"] for role in ROLES}
    assert len(addresses) == 1


def test_only_the_container_that_was_killed_was_started(host):
    before = dict(line.strip("/").split(" ") for line in host.file("/run/started_before").content_string.splitlines())
    now = started(host)
    assert set(now) == set(before) and len(now) == 4
    assert {name for name in now if now[name] != before[name]} == {"marketplace-monero-wallet-rpc-buyer-1"}


def test_the_log_of_what_was_killed_is_kept(host):
    assert "monero-wallet-rpc-buyer-" in host.check_output("ls /var/lib/marketplace_incident/kept")


def test_payouts_are_not_frozen(host):
    assert host.run("ls /var/lib/marketplace_incident/freezes/*.json").rc != 0


def test_no_copy_of_the_database_is_left(host):
    assert host.check_output("find /var/tmp -maxdepth 1 -name 'marketplace-sqlite-*'") == ""


def test_the_host_is_given_back(host):
    assert not host.file("/run/marketplace_incident/lease.json").exists
