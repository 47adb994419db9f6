# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host lost its power, and a page of the database's log came back wrong: what was committed after it cannot be replayed."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server is dead, and of the log of its database only the first half can be read"

# A checkpoint begins the log anew at a thousand frames; the order must be in none of those that are in the database already.
LEAST, MOST = 40, 700
# The page of one frame: 2 means that in the middle. Only what was written since the log was begun anew counts.
INVERT = r"""
import os, sys
with open(sys.argv[1], "r+b") as file:
    head = file.read(32)
    size = 24 + int.from_bytes(head[8:12], "big")
    salt, frames = head[16:24], 0
    while True:
        file.seek(32 + frames * size)
        frame = file.read(size)
        if len(frame) < size or frame[8:16] != salt:
            break
        frames += 1
    middle = 32 + frames // int(sys.argv[2]) * size + 24
    file.seek(middle)
    content = file.read(size - 24)
    file.seek(middle)
    file.write(bytes(byte ^ 255 for byte in content))
    os.fsync(file.fileno())
"""
# How many frames the log holds since it was begun anew.
COUNT = r"""
import sys
with open(sys.argv[1], "rb") as file:
    head, frames = file.read(32), 0
    size = 24 + int.from_bytes(head[8:12] or bytes([16, 0]), "big")
    while (frame := file.read(size))[8:16] == head[16:24] and len(frame) == size:
        frames += 1
print(frames)
"""
ORDER = "SELECT count(*) FROM orders WHERE reference = '{}'"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    must_show("a log that is neither empty nor soon begun anew", lambda: LEAST <= _frames(lab) <= MOST, 90)
    last = database.place_order(lab)
    database.kill(lab)
    database.keep(lab)
    if database.examine(lab, ORDER.format(last)) != ["1"]:
        raise LabError("The newest order is not there before the damage. `script/lab heal` undoes it.")
    # The log may have begun anew with that order: then what comes before it is the beginning.
    if not any(_is_lost(lab, last, divisor) for divisor in (2, 8, MOST * 8)):
        raise LabError("The fault did not show: the newest order is there. `script/lab heal` undoes it.")
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back


def _frames(lab: Lab) -> int:
    return int(lab.run(["python3", "-c", COUNT, f"{database.PATH}-wal"], check=True).stdout)


def _is_lost(lab: Lab, order: str, divisor: int) -> bool:
    """Whether the order is gone with the frame of that part of the log."""
    lab.run(["python3", "-c", INVERT, f"{database.PATH}-wal", str(divisor)], check=True)
    return database.examine(lab, ORDER.format(order)) == ["0"]
