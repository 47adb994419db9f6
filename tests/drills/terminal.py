# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command on a real terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_terminal(argv: Sequence[str], environment: Mapping[str, str], columns: int, folder: Path) -> tuple[int, str]:
    """Run it; its status, and every character the terminal was sent."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        argv,
        env=dict(environment),
        cwd=folder,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        close_fds=True,
    )
    os.close(inside)
    seen = bytearray()
    while True:
        try:
            piece = os.read(outside, 65536)
        except OSError:
            # Linux answers EIO when the last writer has gone.
            break
        if not piece:
            break
        seen += piece
    os.close(outside)
    return process.wait(), seen.decode("utf-8", errors="replace")
