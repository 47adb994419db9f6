# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps what it keeps."""

import os
import re
from pathlib import Path

from lab.errors import LabError

PROJECT = Path(__file__).resolve().parent.parent
STACK = PROJECT / "lab" / "stack"
LIGHT = PROJECT / "lab" / "light"
HOST = PROJECT / "lab" / "host"
COMPOSE_DIR = "/opt/marketplace/4.5/docker"
# On the host: what the project has outside its repository, as it is when nothing is wrong.
KEPT_DIR = "/etc/marketplace-lab"

# A Unix socket's path ends at 107 characters; the longest below home is cache/engine/docker.sock.
LONGEST_HOME = 75


def home() -> Path:
    """Root of everything the lab keeps on this machine."""
    configured = os.environ.get("MARKETPLACE_LAB_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(configured).absolute() if configured else cache / "marketplace_lab"
    if len(str(path)) > LONGEST_HOME:
        raise LabError(
            f"MARKETPLACE_LAB_HOME is {len(str(path))} characters long, more than the {LONGEST_HOME} that leave room "
            "for a socket's name: set it to a shorter path."
        )
    return path


def cache() -> Path:
    """What is expensive to make and named by its content: survives `down`."""
    return home() / "cache"


def labs() -> Path:
    """One folder for each lab that is up."""
    return home() / "labs"


def lab_name() -> str:
    """The lab the caller means: $LAB, else market-1."""
    return checked_name(os.environ.get("LAB") or "market-1")


def checked_name(name: str) -> str:
    """A name that is fit to be a host name, a container name and a folder."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", name) or name.endswith("-"):
        raise LabError(
            f"LAB={name!r} cannot be a host name: use 2 to 31 lower-case letters, digits and hyphens, "
            "beginning with a letter, for example LAB=market-2."
        )
    return name
