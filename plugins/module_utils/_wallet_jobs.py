# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The site's wallets as a backup needs them: where their files are, and how the wallet RPC on them is reached."""

from __future__ import annotations

import re
import ssl
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_host, _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import check_url
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import Login
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import NoLogin, Wallet, read_login
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_backup import Job

ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


def jobs(wallets: list[dict[str, Any]], port: int, validate_certs: bool = True) -> list[Job]:
    """One for each role. Addresses are the engine's own notes: this needs no Docker that answers."""
    context = ssl.create_default_context()
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    alive = _engine_files.living(_compose_host.engine_root())
    return [_job(one, port, context, alive) for one in wallets]


def _job(one: dict[str, Any], port: int, context: ssl.SSLContext, alive: list[_engine_files.Living]) -> Job:
    role = str(one["role"])
    if not ROLE.match(role):
        raise IncidentError(
            f"'{role[:80]}' cannot be the role of a wallet: it is part of a file's name, so use letters, digits, - and _."
        )
    url = str(one.get("url") or "")
    if url:
        check_url(url)
    else:
        there = [living for living in alive if living.service == one["service"] and living.address]
        if len(there) > 1:
            raise IncidentError(
                f"{len(there)} containers of a service {one['service']} run here, so nobody knows which one has {role}'s wallets: "
                "set `url` in marketplace_wallets."
            )
        url = f"http://{there[0].address}:{port}" if there else ""
    login, notes = _login(one) if url else (None, ())
    rpc = Wallet(role, url, login, context) if url else None
    return Job(role, str(one["directory"]), rpc, str(one.get("wallet") or ""), str(one.get("signer") or ""), notes)


def _login(one: dict[str, Any]) -> tuple[Login | None, tuple[str, ...]]:
    """Without its login a wallet cannot be stored; what lies on the disk is backed up all the same."""
    if one.get("user"):
        return Login(str(one["user"]), str(one.get("password") or "")), ()
    try:
        return (read_login(str(one["login_file"])), ()) if one.get("login_file") else (None, ())
    except NoLogin as problem:
        return None, (str(problem),)
