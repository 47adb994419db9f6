# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Keep a container's log and its settings before anything happens to it.

Bytes go through gzip and sha256sum, never through Python, so the memory needed does not depend on the log.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import json
import os
import re
import subprocess
import time
from typing import Any, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_parse
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_secrets import redacted
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import (
    clean_lines,
    human_bytes,
    sentence_from,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    private_directory,
    sync_directory,
    write_all,
)

# A copy must not be what fills a disk to its last byte.
FLOOR_BYTES = 64 * 1024 * 1024
# A log larger than this is kept since the container's last start; the rest of it stays where it is.
WHOLE_BELOW_BYTES = 64 * 1024 * 1024
POLL_SECONDS = 0.1


class NotKept(Exception):
    """One sentence on why a log was not kept."""


def base_name(service: str, container: dict[str, Any], moment: str) -> str:
    """The same for the same container in the same state, so that a second run finds what the first has kept."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", service).lstrip(".") or "service"
    digits = re.sub(r"[^0-9]", "", moment.partition(".")[0])[:14] or "0"
    return f"{safe}-{str(container['Id'])[:12]}-{digits}"


def last_moment(container: dict[str, Any], timeout: float) -> str:
    """When the log got its last line: what was kept up to there need not be kept again."""
    state = container.get("State") or {}
    answer = run(["docker", "logs", "--tail", "1", "--timestamps", str(container["Id"])], timeout, limit=256 * 1024)
    stamps = sorted(
        line.split(" ", 1)[0]
        for line in clean_lines(answer.out) + clean_lines(answer.err)
        if epoch(line.split(" ", 1)[0]) is not None
    )
    candidates = [*stamps[-1:], str(state.get("FinishedAt")), str(state.get("StartedAt"))]
    known = [stamp for stamp in candidates if epoch(stamp) is not None]
    return max(known, key=lambda stamp: epoch(stamp) or 0.0, default="")


def free_bytes(folder: str) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def check_room(folder: str, needed: int, what: str) -> None:
    """Refuse a copy for which there is no room. The folder need not exist yet."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = free_bytes(folder)
    if free - needed < FLOOR_BYTES:
        raise NotKept(
            f"{what} needs about {human_bytes(needed)} below {folder}, where {human_bytes(free)} are free and {human_bytes(FLOOR_BYTES)} "
            "must stay: set docker_health_keep_dir to a folder on a disk with room."
        )


def sha256(path: str, timeout: float = 600.0) -> str:
    answer = run(["sha256sum", "--binary", "--", path], timeout)
    digest = answer.out.decode("ascii", "replace").lstrip("\\")[:64]
    if not answer.ok or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise NotKept(f"sha256sum of {path} failed: {sentence_from(answer.err) or 'no answer in time'}.")
    return digest


def new_file(path: str) -> int:
    """A file that only its owner can read, and that was not there before."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def compress(source: Sequence[str], target: str, timeout: float, *, errors_too: bool = False) -> None:
    """Write what a command says into a new file, through gzip. A file that could not be completed is removed."""
    handle = new_file(target)
    done = False
    try:
        _pipe(source, handle, timeout, os.path.dirname(target), errors_too)
        os.fsync(handle)
        done = True
    finally:
        os.close(handle)
        if not done:
            os.unlink(target)


def _pipe(source: Sequence[str], handle: int, timeout: float, folder: str, errors_too: bool) -> None:
    deadline = time.monotonic() + timeout
    errors = subprocess.STDOUT if errors_too else subprocess.DEVNULL
    with (
        subprocess.Popen(list(source), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as talker,
        subprocess.Popen(["gzip", "-1", "-c"], stdin=talker.stdout, stdout=handle, stderr=subprocess.DEVNULL) as packer,
    ):
        if talker.stdout is not None:
            talker.stdout.close()  # so that the talker notices when gzip is gone
        problem = None
        while packer.poll() is None and problem is None:
            if time.monotonic() > deadline:
                problem = f"it took longer than {timeout:.0f} s"
            elif free_bytes(folder) < FLOOR_BYTES:
                problem = f"less than {human_bytes(FLOOR_BYTES)} are left in {folder}"
            else:
                try:
                    packer.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        if problem is not None:
            talker.kill()
            packer.kill()
            raise NotKept(f"`{' '.join(source[:2])}` into {folder} was given up: {problem}.")
        if talker.wait() != 0 or packer.returncode != 0:
            raise NotKept(f"`{' '.join(source[:2])}` ended with {talker.returncode}, gzip with {packer.returncode}.")


def write_private(path: str, content: bytes) -> None:
    handle = new_file(path)
    try:
        write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(draft: str, path: str) -> str:
    """Give a complete file its name, with its checksum beside it."""
    digest = sha256(draft)
    sidecar = f"{path}.sha256"
    if os.path.lexists(sidecar):
        os.unlink(sidecar)  # of a run that was killed before it gave the file its name
    write_private(sidecar, f"{digest}  {os.path.basename(path)}\n".encode())
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))
    return digest


def sealed(path: str) -> dict[str, Any] | None:
    """A file kept earlier, with the checksum that was written with it."""
    try:
        with open(f"{path}.sha256", encoding="ascii") as file:
            digest = file.read(64)
        size = os.stat(path).st_size
    except FileNotFoundError:
        return None
    return {"path": path, "sha256": digest, "bytes": size} if re.fullmatch(r"[0-9a-f]{64}", digest) else None


def keep(
    service: str, container: dict[str, Any], keep_dir: str, *, timeout: float, log_bytes: int | None, dry: bool
) -> dict[str, Any]:
    """Keep one container's log and settings. Returns what is there, and whether it is new."""
    moment = last_moment(container, timeout)
    path = os.path.join(keep_dir, base_name(service, container, moment) + ".log.gz")
    there = sealed(path)
    if there is not None or dry:
        return {
            "service": service,
            "path": path,
            "sha256": None,
            "bytes": None,
            **(there or {}),
            "new": there is None,
            "note": None,
        }
    whole = log_bytes is None or log_bytes <= WHOLE_BELOW_BYTES
    check_room(keep_dir, (log_bytes or 0) // 4 if whole else WHOLE_BELOW_BYTES, f"The log of {service}")
    private_directory(keep_dir)
    settings = json.dumps(redacted(container), indent=1, sort_keys=True).encode() + b"\n"
    _replace_private(path.replace(".log.gz", ".inspect.json"), settings)
    started = str((container.get("State") or {}).get("StartedAt") or "")
    since = [] if whole or epoch(started) is None else ["--since", started]
    draft = f"{path}.partial"
    if os.path.lexists(draft):
        os.unlink(draft)  # of a run that was killed; the lock says that it is not at work any more
    compress(["docker", "logs", "--timestamps", *since, str(container["Id"])], draft, timeout * 20, errors_too=True)
    digest = seal(draft, path)
    note = f"since its last start {started}" if since else None
    return {"service": service, "path": path, "sha256": digest, "bytes": os.stat(path).st_size, "new": True, "note": note}


def _replace_private(path: str, content: bytes) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    write_private(path, content)


def containers_of(project: str, services: Sequence[str], containers: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The project's containers with their services, in the order asked for; of all services where none is named."""
    by_service = _compose_parse.of_project(containers, project)
    names = list(services) or sorted(by_service)
    return [(name, one) for name in names for one in by_service.get(name, [])]
