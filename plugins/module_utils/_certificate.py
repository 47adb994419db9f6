# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""From when until when a certificate holds: the one an address serves, and the one in a file."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

_FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_FILE_LIMIT = 1024 * 1024
_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


class Unreadable(ValueError):
    """Bytes that are no certificate."""


def served(url: str, timeout: float) -> dict[str, Any] | None:
    """The certificate behind an address, valid or not; None where there is none to be had."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    # Whether it may be trusted was asked before; here only its dates are read.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=timeout) as plug,
            context.wrap_socket(plug, server_hostname=parts.hostname) as wrapped,
        ):
            return facts(wrapped.getpeercert(binary_form=True) or b"")
    except (OSError, Unreadable):
        return None


def in_file(path: str) -> dict[str, Any]:
    """The first certificate of a PEM file, with its path; problem says why there is none."""
    found: dict[str, Any] = {"path": path, "not_before": None, "not_after": None, "sha256": None, "problem": None}
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(_FILE_LIMIT)
    except OSError as problem:
        return {**found, "problem": f"{clean_line(path)} cannot be read: {problem.strerror}"}
    first = _FIRST.search(text)
    try:
        return {**found, **facts(ssl.PEM_cert_to_DER_cert(first.group(0)) if first else b"")}
    except ValueError:
        return {**found, "problem": f"{clean_line(path)} holds no certificate"}


def facts(der: bytes) -> dict[str, Any]:
    """Dates in seconds since 1970. Python shows them only of certificates that it trusts."""
    try:
        certificate, _rest = _part(der, _SEQUENCE)
        body, _rest = _part(certificate, _SEQUENCE)
        if body[:1] == bytes([_VERSION]):
            _version, body = _part(body, _VERSION)
        _serial, body = _part(body, _INTEGER)
        _algorithm, body = _part(body, _SEQUENCE)
        _issuer, body = _part(body, _SEQUENCE)
        validity, _rest = _part(body, _SEQUENCE)
        begin, validity = _time(validity)
        end, _rest = _time(validity)
    except (IndexError, ValueError) as problem:
        raise Unreadable(str(problem)) from problem
    return {"not_before": begin, "not_after": end, "sha256": hashlib.sha256(der).hexdigest()}


def _part(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    if data[0] != tag:
        raise ValueError(f"0x{tag:02x} expected, found 0x{data[0]:02x}")
    size, start = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        size, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if start + size > len(data):
        raise ValueError("cut short")
    return data[start : start + size], data[start + size :]


def _time(data: bytes) -> tuple[float, bytes]:
    tag = data[0]
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError(f"a time expected, found 0x{tag:02x}")
    raw, rest = _part(data, tag)
    text = raw.decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of a year: RFC 5280 has 50-99 in the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    moment = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    return moment.timestamp(), rest
