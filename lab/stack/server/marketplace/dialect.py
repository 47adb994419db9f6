# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The package is in the image: where the code is checked it is not there.
# mypy: disable-error-code="import-not-found"
"""SQLite, or SQLCipher 4 where the site's database is encrypted: DATABASE_KEY in the environment says which."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

KEY = os.environ.get("DATABASE_KEY", "")

if KEY:
    from sqlcipher3 import dbapi2 as driver
else:
    driver = sqlite3

Error: Any = driver.Error


def connect(path: str, **options: Any) -> sqlite3.Connection:
    """An existing database, unlocked; opening must never create an empty one in place of a missing one."""
    connection: sqlite3.Connection = driver.connect(f"file:{path}?mode=rw", uri=True, **options)
    if KEY:
        connection.execute("PRAGMA key = '{}'".format(KEY.replace("'", "''")))
    return connection
