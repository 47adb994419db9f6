# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Signs that outweigh what the services look like: a breach, damaged data, customers who are hit though the host sees no harm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import _mapping, _text

_BREACH = re.compile(r"(?i)breach|intrusion|unauthori[sz]ed|suspicious|secrets?.?(?:exposed|leak)|compromised")
_DAMAGE = re.compile(r"(?i)database disk image is malformed|integrity check failed|file is not a database")
# What the server says when its database is there and does not let it in.
_KEPT_OUT = re.compile(r"(?i)database is locked|failed to get db connection")
# States of a copy, which was made while the database is in use: a suspicion as well.
SUSPECT = {
    "missing": "is not there",
    "empty": "is a file of 0 bytes",
    "deleted_but_open": "was deleted, and a process still has it open: stop nothing",
    "not_a_database": "is no SQLite database",
    "stale_wal": "lies beside the write-ahead log of another one",
    "wal_damage": "has a damaged write-ahead log",
    "page_damage": "has damaged pages",
    "btree_damage": "has tables or indexes that are not whole",
    "foreign_key_damage": "refers to rows that are not there",
    "invariant_damage": "holds values that cannot be true",
}
# An outside probe's last word older than this says nothing about now; and a short row of bad answers may be a busy machine.
FRESH_SECONDS = 60.0
BAD_SECONDS = 10.0
# Of three signers two must sign.
SIGNERS = 2


@dataclass(frozen=True)
class Signs:
    """Each a sentence, or empty where there is no such sign."""

    breach: str = ""
    damage: str = ""
    # The database is there, and its users are kept out of it.
    kept_out: str = ""
    unserved: str = ""
    gravest: str = ""


def read(facts: Mapping[str, Any], firing: list[dict[str, Any]], now: float) -> Signs:
    site, results = _mapping(facts.get("site")), _mapping(_mapping(facts.get("prometheus")).get("results"))
    return Signs(
        breach=_breach(_mapping(_mapping(facts.get("desk")).get("open_incident")), firing),
        damage=_damage(_mapping(facts.get("compose")), site)
        or _of_a_copy(_mapping(facts.get("signing")), bool(facts.get("compose"))),
        kept_out=_kept_out(_mapping(facts.get("compose")), _mapping(facts.get("signing"))),
        unserved="the outside probe fails, though the site answers on the host" if _probe_fails(results, now) else "",
        gravest=_gravest(results, firing, len(site.get("wallet_services") or ())),
    )


def _breach(incident: Mapping[str, Any], firing: list[dict[str, Any]]) -> str:
    for alert in firing:
        if _BREACH.search(str(alert["name"])):
            return f"alert {_text(alert['name'])} is firing"
    return f"{_text(incident.get('id'))} is a security incident" if incident.get("title") == "security_breach" else ""


def _damage(compose: Mapping[str, Any], site: Mapping[str, Any]) -> str:
    """A service's own word. A wrong key sounds the same, so it is a suspicion."""
    watched = [name for name in (site.get("server_service"), site.get("database_service")) if name]
    for one in compose.get("services") or []:
        if one.get("name") not in watched:
            continue
        for line in [*(one.get("log") or []), one.get("probe_output"), one.get("error")]:
            found = _DAMAGE.search(str(line or ""))
            if found:
                return f'{_text(one["name"])} says "{found.group()}"'
    for endpoint in compose.get("endpoints") or []:
        found = _DAMAGE.search(str(endpoint.get("body") or ""))
        if found:
            return f'the health endpoint says "{found.group()}"'
    return ""


def _of_a_copy(database: Mapping[str, Any], seen: bool) -> str:
    found = SUSPECT.get(str(database.get("state")))
    if database.get("state") == "missing" and not seen:
        # Where nothing of the project was seen, its disk or its path may be what is amiss.
        return ""
    if database.get("state") == "suspect" and any("looks damaged" in str(one) for one in database.get("sentences") or []):
        found = "looked damaged once"
    return f"{_text(database.get('path') or 'the database')} {found}" if found else ""


def _kept_out(compose: Mapping[str, Any], database: Mapping[str, Any]) -> str:
    if database.get("state") == "locked":
        return _text(database.get("lock_problem") or "the database is locked")
    for endpoint in compose.get("endpoints") or []:
        found = _KEPT_OUT.search(str(endpoint.get("body") or ""))
        if found:
            return f'the health endpoint says "{found.group()}"'
    return ""


def _probe_fails(results: Mapping[str, Any], now: float) -> bool:
    """Whether its last answers were bad, each of them, for long enough; a sample that is no number says nothing."""
    for one in _mapping(results.get("probe")).get("series") or []:
        points = [(float(at), value) for at, value in one.get("points") or [] if isinstance(value, (int, float))]
        if not points or now - points[-1][0] > FRESH_SECONDS:
            continue
        good = [at for at, value in points if value >= 1]
        bad = [at for at, _value in points if not good or at > good[-1]]
        if len(bad) > 1 and bad[-1] - bad[0] >= BAD_SECONDS:
            return True
    return False


def _gravest(results: Mapping[str, Any], firing: list[dict[str, Any]], wallets: int) -> str:
    """What the handbook calls critical while the site answers: only what an alert has watched for its whole time."""
    silent = {alert["about"] for alert in firing if alert["name"] == "WalletRPCUnreachable"}
    if wallets >= SIGNERS and wallets - len(silent) < SIGNERS:
        return f"escrow funds are out of reach: {wallets - len(silent)} of {wallets} wallets answer, {SIGNERS} must sign"
    down = [one["value"] for one in _mapping(results.get("database")).get("samples") or []]
    if down == [0] and any(alert["name"] == "DatabaseUnavailable" for alert in firing):
        return "the database takes no writes (DatabaseUnavailable)"
    return ""
