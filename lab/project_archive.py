# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project as a Git repository with a history, packed for the host."""

import os
import tarfile
from pathlib import Path

from lab.places import COMPOSE_DIR, KEPT_DIR
from lab.shell import run
from lab.stack import project, tls

AUTHOR = {"GIT_AUTHOR_NAME": "Marketplace Operations", "GIT_AUTHOR_EMAIL": "operations@marketplace.lab"}
COMMITTER = {"GIT_COMMITTER_NAME": "Marketplace Operations", "GIT_COMMITTER_EMAIL": "operations@marketplace.lab"}
# One commit a day, so that history reads like one; fixed, so that the same project has the same commits.
FIRST_COMMIT = 1_788_000_000
DAY = 86_400


# Where the host keeps the authority: trusted at its first boot, and able to sign another certificate.
AUTHORITY = {
    tls.AUTHORITY_CERTIFICATE: "usr/local/share/ca-certificates/marketplace-lab.crt",
    tls.AUTHORITY_KEY: "etc/ssl/private/marketplace-lab-ca.key",
}


def write_repository(folder: Path, authority: Path) -> None:
    """Write the project and commit it as its history says; what no commit names is committed last."""
    project.write_project(folder, authority)
    _git(folder, 0, "init", "--quiet", "--initial-branch=main")
    for number, (message, paths) in enumerate(project.COMMITS):
        _git(folder, number, "add", "--", *paths)
        _git(folder, number, "commit", "--quiet", "--message", message)
    number = len(project.COMMITS)
    _git(folder, number, "add", "--all")
    if _git(folder, number, "status", "--porcelain"):
        _git(folder, number, "commit", "--quiet", "--message", "Settings of this site")


def _git(folder: Path, number: int, *arguments: str) -> str:
    date = f"{FIRST_COMMIT + number * DAY} +0000"
    # No person's own configuration: no signing, no hooks, no other default branch.
    isolated = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    environment = {**os.environ, **AUTHOR, **COMMITTER, **isolated, **dates}
    return run(["git", "-C", folder, *arguments], env=environment).stdout


def pack(folder: Path, authority: Path, archive: Path) -> None:
    """Pack the project under its path on the host, with the owners it has, and what belongs beside it."""
    with tarfile.open(archive, "w") as tar:
        for parent in reversed(Path(COMPOSE_DIR).relative_to("/").parents):
            if str(parent) != ".":
                _add_folder(tar, str(parent), 0o755)
        tar.add(folder, arcname=COMPOSE_DIR.lstrip("/"))
        _add_folder(tar, KEPT_DIR.lstrip("/"), 0o700)
        for name in project.UNTRACKED:
            tar.add(folder / name, arcname=f"{KEPT_DIR.lstrip('/')}/{name}")
        for name, path in AUTHORITY.items():
            tar.add(authority / name, arcname=path)


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)
