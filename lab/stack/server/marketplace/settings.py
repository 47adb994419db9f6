# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's settings, from the environment; a wrong one is named with what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Real ones, off without a word: pays an escrow that is funded without being asked; makes wallets anew of an escrow whose row
# says that they were not set up.
BUGS = frozenset({"repay", "recreate"})


class SettingError(Exception):
    """One sentence that names the setting, what it needs and what was found."""


@dataclass(frozen=True)
class Settings:
    database_path: str
    ledger_dir: str
    pool_size: int
    writer_rate: int
    wallets: dict[str, str]
    wallet_name: str
    wallet_login: str
    daemon_url: str
    session_key: str
    bugs: frozenset[str]
    release: str
    commit: str

    @staticmethod
    def database(environment: Mapping[str, str]) -> str:
        return environment.get("DATABASE_PATH", "/data/marketplace.db")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        return cls(
            database_path=cls.database(environment),
            ledger_dir=environment.get("LEDGER_DIR", "/ledger"),
            pool_size=_whole_number(environment, "POOL_SIZE", "10", 1, 200),
            writer_rate=_whole_number(environment, "WRITER_RATE", "10", 0, 1000),
            wallets=_pairs(environment, "WALLETS"),
            wallet_name=environment.get("WALLET_NAME", "escrow_1"),
            wallet_login=_login(environment.get("WALLET_LOGIN_FILE", "")),
            daemon_url=environment.get("DAEMON_URL", ""),
            session_key=_required(environment, "SESSION_KEY", "to sign the sessions of customers"),
            bugs=_bugs(environment),
            release=environment.get("MARKETPLACE_RELEASE", "unknown"),
            commit=environment.get("MARKETPLACE_COMMIT", "unknown"),
        )


def _bugs(environment: Mapping[str, str]) -> frozenset[str]:
    chosen = frozenset(environment.get("BUGS", "").split())
    if not chosen <= BUGS:
        raise SettingError(f"BUGS must be a choice of {', '.join(sorted(BUGS))}, found {' '.join(sorted(chosen - BUGS))!r}")
    return chosen


def _required(environment: Mapping[str, str], name: str, purpose: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingError(f"{name} is not set, and is needed {purpose}")
    return value


def _whole_number(environment: Mapping[str, str], name: str, default: str, least: int, most: int) -> int:
    text = environment.get(name, default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SettingError(f"{name} must be a whole number from {least} to {most}, found {text!r}")
    return int(text)


def _pairs(environment: Mapping[str, str], name: str) -> dict[str, str]:
    pairs = {}
    for item in environment.get(name, "").split():
        key, equals, value = item.partition("=")
        if not equals or not value.startswith("http"):
            raise SettingError(f"{name} must be a list of role=http://host:port, found {item!r}")
        pairs[key] = value
    return pairs


def _login(path: str) -> str:
    """`user:password` from a file in the form monero-wallet-rpc reads; no file means no login."""
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise SettingError(f"WALLET_LOGIN_FILE {path} cannot be read: {problem.strerror}") from problem
    name, _, login = text.partition("=")
    if name != "rpc-login" or ":" not in login:
        raise SettingError(f"WALLET_LOGIN_FILE {path} must hold rpc-login=USER:PASSWORD")
    return login
