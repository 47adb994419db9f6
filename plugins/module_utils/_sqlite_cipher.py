# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""SQLCipher 4 without SQLCipher: each page carries a code that only its key makes, which Python's own library can check.

So a wrong key is told apart from a damaged page, which SQLCipher itself calls by one name. Nothing is deciphered here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import importlib
import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Pages

PAGE_SIZE = 4096
# A start vector of 16 bytes and a code of 64 end each page.
RESERVED, CODE = 80, 64
SALT = 16
ITERATIONS = 256000
_RAW = re.compile(r"x'([0-9a-fA-F]{64})([0-9a-fA-F]{32})?'")
# A wrong key fits none; of so many pages at least one is sound.
SAMPLES = 200


def module() -> Any:
    """SQLCipher for Python where the host has it, else None."""
    for name in ("sqlcipher3.dbapi2", "sqlcipher3"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


def unlock(database: Any, key: str) -> None:
    """The key goes as SQL, which stays in this process."""
    quoted = key.replace("'", "''")
    # What it finds is in its answers; its own log goes to a stream that belongs to Ansible.
    database.execute("PRAGMA cipher_log_level = NONE")
    database.execute(f"PRAGMA key = '{quoted}'" if not _RAW.fullmatch(key) else f'PRAGMA key = "{key}"')


class Codes:
    """Of one database and key."""

    def __init__(self, key: str, salt: bytes) -> None:
        raw = _RAW.fullmatch(key)
        if raw:
            cipher_key = bytes.fromhex(raw[1])
            salt = bytes.fromhex(raw[2]) if raw[2] else salt
        else:
            cipher_key = hashlib.pbkdf2_hmac("sha512", key.encode(), salt, ITERATIONS, 32)
        other = bytes(one ^ 0x3A for one in salt)
        self._key = hashlib.pbkdf2_hmac("sha512", cipher_key, other, 2, 32)

    def fits(self, data: bytes, number: int) -> bool:
        begins = SALT if number == 1 else 0
        code = hmac.new(self._key, data[begins:-CODE], "sha512")
        code.update(number.to_bytes(4, "little"))
        return hmac.compare_digest(code.digest(), data[-CODE:])


def damaged(pages: Pages, key: str) -> tuple[bool, list[int]]:
    """Whether the key is that of any page, and the pages that do not carry its code."""
    codes = Codes(key, pages.read(1)[:SALT])
    step = max(1, pages.count // SAMPLES)
    if not any(codes.fits(pages.read(number), number) for number in range(1, pages.count + 1, step)):
        return False, []
    wrong = [
        number
        for number in range(1, pages.count + 1)
        if number != pages.lock_page() and not codes.fits(pages.read(number), number)
    ]
    return True, wrong
