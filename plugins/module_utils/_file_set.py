# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Keep files that belong together, such as a database with its sidecars, before anything writes to them.

Either as copies elsewhere, or, where the files themselves are in the way, by another name where they lie.
"""

from __future__ import annotations

import os
import re
import stat
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import (
    NotKept,
    check_room,
    seal,
    sealed,
    sha256,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    private_directory,
    sync_directory,
)

COPY_SECONDS = 3600.0


def keep(paths: list[str], keep_dir: str, *, other_disk: bool = True, dry: bool = False) -> dict[str, Any]:
    """Each file's copy with its checksum. Copies are named by what is in them: the same set is kept once."""
    sizes = {path: _size(path) for path in paths}
    if other_disk:
        _check_other_disk(paths, keep_dir)
    digests = {path: sha256(path, COPY_SECONDS) for path in paths}
    targets = {path: os.path.join(keep_dir, f"{os.path.basename(path)}-{digest[:12]}") for path, digest in digests.items()}
    missing = [path for path in paths if sealed(targets[path]) is None]
    if missing and not dry:
        check_room(keep_dir, sum(sizes[path] for path in missing), f"A copy of {', '.join(missing)}")
        private_directory(keep_dir)
        for path in missing:
            _copy(path, targets[path], digests[path])
    return {
        "changed": bool(missing),
        "kept": [
            {
                "source": path,
                "path": targets[path],
                "sha256": digests[path],
                "bytes": sizes[path],
                "new": path in missing,
            }
            for path in paths
        ],
    }


def set_aside(paths: list[str], *, dry: bool = False) -> dict[str, Any]:
    """Each file or folder by another name beside itself: one step for the file system, in which nothing can be lost."""
    kept = []
    for path in paths:
        earlier = _asides(path)
        if not os.path.lexists(path):
            if not earlier:
                raise NotKept(f"{path} is not there, and nothing was set aside from it: is the path right?")
            kept.append(_aside(path, earlier[-1], new=False))
            continue
        state = os.lstat(path)
        if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
            raise NotKept(f"{path} is neither a file nor a folder, and nothing else is set aside: look at what it is.")
        target = f"{path}.aside-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        if os.path.lexists(target):
            raise NotKept(f"{target} is there already: run the same command again in a second.")
        if not dry:
            os.rename(path, target)
            sync_directory(os.path.dirname(path))
        kept.append(_aside(path, path if dry else target, new=True, named=target))
    return {"changed": any(one["new"] for one in kept), "kept": kept}


def _asides(path: str) -> list[str]:
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(os.path.join(folder, one) for one in names if re.fullmatch(re.escape(name) + r"\.aside-\d{8}T\d{6}Z", one))


def _aside(source: str, where: str, *, new: bool, named: str = "") -> dict[str, Any]:
    """A folder is told by its size: a chain is too large to be read for its checksum."""
    is_file = stat.S_ISREG(os.lstat(where).st_mode)
    size = os.lstat(where).st_size if is_file else sum(_folder_bytes(where))
    digest = sha256(where, COPY_SECONDS) if is_file else None
    return {"source": source, "path": named or where, "sha256": digest, "bytes": size, "new": new}


def _folder_bytes(folder: str) -> list[int]:
    return [os.lstat(os.path.join(root, name)).st_size for root, _folders, names in os.walk(folder) for name in names]


def _size(path: str) -> int:
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        raise NotKept(f"{path} is not there, so it cannot be kept: name the files that are.") from None
    if not stat.S_ISREG(state.st_mode):
        raise NotKept(f"{path} is no regular file, and nothing else is kept: name the file itself.")
    return state.st_size


def _check_other_disk(paths: list[str], keep_dir: str) -> None:
    folder = keep_dir
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    for path in paths:
        if os.stat(path).st_dev == os.stat(folder).st_dev:
            raise NotKept(
                f"{keep_dir} lies on the same file system as {path}, where a copy saves nothing: "
                "set docker_health_keep_dir to a folder on another one."
            )


def _copy(path: str, target: str, digest: str) -> None:
    draft = f"{target}.partial"
    if os.path.lexists(draft):
        os.unlink(draft)  # of a run that was killed; the lock says that it is not at work any more
    try:
        old = os.umask(0o077)
        try:
            copied = run(["cp", "--sparse=auto", "--no-dereference", "--", path, draft], COPY_SECONDS)
        finally:
            os.umask(old)
        if not copied.ok:
            raise NotKept(
                f"cp of {path} into {os.path.dirname(target)} failed: {sentence_from(copied.err) or 'no end in time'}."
            )
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        if sha256(draft, COPY_SECONDS) != digest or sha256(path, COPY_SECONDS) != digest:
            raise NotKept(f"The copy of {path} is not equal to it: something writes to it; nothing else was done.")
        seal(draft, target)
    finally:
        if os.path.lexists(draft):
            os.unlink(draft)
