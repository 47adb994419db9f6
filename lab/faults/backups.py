# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives of the database that the faults of backups need: made by the handbook's commands, kept for the way back."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from lab.errors import LabError
from lab.faults import database
from lab.instance import Lab
from lab.places import PROJECT

FOLDER = "/backups/database"
KEPT = "/var/lib/marketplace-lab-kept/backups"
SITE = PROJECT / "inventories/lab/group_vars/marketplace.yml"
ENDING = ".db.gz.gpg"
TIMERS = "marketplace-backup*.timer"

# $0 database, $1 archive; the passphrase on standard input, which gpg alone may read.
MAKE = r"""
set -o pipefail
exec 3<&0 < /dev/null
umask 077
image=$(mktemp /var/tmp/image.XXXXXX)
trap 'rm -f "$image"' EXIT
sqlite3 -batch -cmd '.timeout 10000' "$0" ".backup '$image'"
gzip -1 < "$image" | gpg --batch --yes --pinentry-mode loopback --passphrase-fd 3 --symmetric --output "$1"
cd "${1%/*}" && sha256sum "${1##*/}" > "${1##*/}.sha256"
"""
OPENS = 'gpg --batch --quiet --pinentry-mode loopback --passphrase-fd 3 --decrypt "$0" 3<&0 | gunzip > /dev/null'


def passphrase() -> str:
    """Of the lab's site, as its inventory has it."""
    found = re.search(r"^marketplace_backup_passphrase: (\S+)$", SITE.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise LabError(f"{SITE} names no marketplace_backup_passphrase.")
    return found[1]


def make(lab: Lab, age_seconds: int = 0) -> str:
    """The path of an archive of now, its name and its time that many seconds ago."""
    then = time.time() - age_seconds
    path = f"{FOLDER}/marketplace-db-{datetime.fromtimestamp(then, UTC):%Y%m%dT%H%M%SZ}{ENDING}"
    lab.run(["install", "-d", "-m", "0700", FOLDER], check=True)
    lab.run(["bash", "-e", "-c", MAKE, database.PATH, path], stdin=passphrase() + "\n", check=True)
    lab.run(["touch", "--date", f"@{int(then)}", path, f"{path}.sha256"], check=True)
    return path


def archives(lab: Lab) -> list[str]:
    """Every archive by its name's time, the newest last."""
    found = lab.run(["find", FOLDER, "-maxdepth", "1", "-type", "f", "-name", f"marketplace-db-*{ENDING}"]).stdout.split()
    return sorted(found)


def opens(lab: Lab, path: str) -> bool:
    """Whether gpg and gunzip find it whole."""
    said = lab.run(["bash", "-e", "-o", "pipefail", "-c", OPENS, path], stdin=passphrase() + "\n")
    return said.returncode == 0


def keep(lab: Lab) -> None:
    """A copy of the folder, for the way back; what makes backups by itself is stopped."""
    script = f'rm -rf "$0"; mkdir -p "$0" "$1"; cp -a "$1/." "$0"; systemctl stop "{TIMERS}"'
    lab.run(["sh", "-e", "-c", script, KEPT, FOLDER], check=True)


def put_back(lab: Lab) -> None:
    if lab.run(["test", "-d", KEPT]).returncode != 0:
        return
    script = f'rm -rf "$1"; cp -a "$0" "$1"; rm -rf "$0"; systemctl start --all "{TIMERS}"'
    lab.run(["sh", "-e", "-c", script, KEPT, FOLDER], check=True)


def two(lab: Lab) -> str:
    """The newest of at least two archives that open."""
    keep(lab)
    for age in (3000, 60)[len(archives(lab)[:2]) :]:
        make(lab, age)
    newest, older = archives(lab)[-1], archives(lab)[-2]
    for one in (newest, older):
        if not opens(lab, one):
            raise LabError(f"{one} does not open before the fault: `script/lab heal` first.")
    return newest
