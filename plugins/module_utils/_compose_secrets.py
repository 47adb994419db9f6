# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Secrets of containers: their values known, so that no text shows them, and their settings without them."""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Sequence

REDACTED = "<redacted>"

_SECRET_NAME = re.compile(r"pass|secret|token|login|credential|(?:^|[-_])key|auth", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(r"([\w-]*(?:pass\w*|secret|token|login|credential|[-_]key)[\w-]*[=: ]\s*)(\S+)", re.IGNORECASE)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
# Shorter values are words like "true" or "8080": masking them would make every text unreadable.
_SHORTEST = 6


def secret_values(containers: Iterable[dict[str, Any]]) -> list[str]:
    """The values behind names that sound secret, in environments and in commands; the longest first."""
    found: set[str] = set()
    for container in containers:
        config = container.get("Config") or {}
        for entry in config.get("Env") or []:
            name, _sign, value = str(entry).partition("=")
            if _SECRET_NAME.search(name):
                found.add(_password_of(value) if "LOGIN" in name.upper() else value)
        for name in ("Cmd", "Entrypoint"):
            arguments = [str(one) for one in config.get(name) or []]
            for plain, safe in zip(arguments, redacted_arguments(arguments)):
                if safe == REDACTED:
                    found.add(_password_of(plain))
                elif safe.endswith(f"={REDACTED}"):
                    found.add(plain.partition("=")[2])
    # A file that holds the secret is named in clear.
    return sorted((one for one in found if len(one) >= _SHORTEST and not one.startswith("/")), key=len, reverse=True)


def _password_of(login: str) -> str:
    """Of user:password only the latter: a user is often called like the shop itself."""
    return login.partition(":")[2] or login


def masked(text: str, values: Sequence[str]) -> str:
    for value in values:
        text = text.replace(value, REDACTED)
    return text


def redacted(container: dict[str, Any]) -> dict[str, Any]:
    """A container's settings without the values of its environment and without logins in its command."""
    copy: dict[str, Any] = json.loads(json.dumps(container))
    config = copy.get("Config")
    if isinstance(config, dict):
        config["Env"] = [f"{str(entry).partition('=')[0]}={REDACTED}" for entry in config.get("Env") or []]
        for name in ("Cmd", "Entrypoint"):
            if isinstance(config.get(name), list):
                config[name] = redacted_arguments(config[name])
        probe = config.get("Healthcheck")
        if isinstance(probe, dict) and isinstance(probe.get("Test"), list):
            probe["Test"] = redacted_arguments(probe["Test"])
    if isinstance(copy.get("Args"), list):
        copy["Args"] = redacted_arguments(copy["Args"])
    return copy


def redacted_arguments(arguments: Sequence[Any]) -> list[str]:
    """``--rpc-login user:password`` and ``--token=value`` lose what follows."""
    safe: list[str] = []
    hide = False
    for argument in map(str, arguments):
        name, equals, _value = argument.partition("=")
        if hide:
            safe.append(REDACTED)
            hide = False
        elif argument.startswith("-") and " " not in name and _SECRET_NAME.search(name):
            safe.append(f"{name}={REDACTED}" if equals else argument)
            hide = not equals
        else:
            safe.append(_LOGIN_IN_URL.sub(f"{REDACTED}@", _SECRET_IN_TEXT.sub(rf"\1{REDACTED}", argument)))
    return safe
