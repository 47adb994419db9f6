# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Move an oversized container log to another place and empty it, without losing a line.

The bulk is copied and compared while the container runs: a log only grows at its end. For the rest the container is paused, so that
nothing is written between the copy and the cut. A journal on disk tells the next run of a pause that a killed one has left behind.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import json
import os
import subprocess
import time
import zlib
from contextlib import contextmanager
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import boot_id
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import (
    NotKept,
    base_name,
    check_room,
    compress,
    seal,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_pause import pause
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    write_json,
)

JOURNAL = "log_archive.json"
_SAMPLE_BYTES = 4 * 1024 * 1024


def journal_path(state_dir: str) -> str:
    return os.path.join(state_dir, JOURNAL)


def paused_by_us(state_dir: str) -> str | None:
    """The container that an interrupted archive has left paused, as far as the journal tells."""
    try:
        note = read_json(journal_path(state_dir))
    except (OSError, ValueError):
        return None
    container = (note or {}).get("container_id")
    return container if isinstance(container, str) else None


def undo_leftovers(state_dir: str, timeout: float) -> list[dict[str, Any]]:
    """Unpause what a killed run of ours has left paused, and remove its unfinished copy."""
    path = journal_path(state_dir)
    try:
        note = read_json(path)
    except ValueError:
        raise NotKept(
            f"{path} is unreadable, so a container may be left paused by an earlier run: "
            "look with `docker ps --filter status=paused`, unpause it, then remove the file."
        ) from None
    if note is None:
        forget(path)
        return []
    undone: list[dict[str, Any]] = []
    container = note.get("container_id")
    if isinstance(container, str) and _is_paused(container, timeout):
        _unpause(container, timeout)
        seconds = round(max(0.0, time.time() - float(note.get("since") or time.time())), 1)
        undone.append({"service": clean_line(str(note.get("service")), 100), "seconds": seconds, "leftover": True})
    for draft in note.get("drafts") or []:
        # Only names that this module gives; the journal is ours, but a path from a file stays a path from a file.
        if str(draft).endswith(".partial") and os.path.isfile(str(draft)):
            os.unlink(str(draft))
    forget(path)
    return undone


def _is_paused(container: str, timeout: float) -> bool:
    answer = run(["docker", "inspect", "--type", "container", "--format", "{{.State.Paused}}", container], timeout)
    if answer.ok:
        return answer.out.strip() == b"true"
    said = sentence_from(answer.err)
    if "no such" in said.lower() or "cannot connect" in said.lower():
        return False  # it is gone, or nothing runs at all
    raise NotKept(
        f"Docker does not say whether {container[:12]} is still paused by us ({said or 'no answer in time'}): "
        f"look with `docker ps --filter status=paused` and run `docker unpause {container[:12]}`."
    )


def _pause(container: str, timeout: float) -> None:
    answer = pause(container, timeout)
    if not answer.ok:
        raise NotKept(f"docker pause {container[:12]} failed: {sentence_from(answer.err) or 'no answer in time'}.")


def projected_bytes(log: str, size: int) -> int:
    """What the compressed copy will need, from its beginning and its end, with a margin."""
    with open(log, "rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        if size > 2 * _SAMPLE_BYTES:
            file.seek(size - _SAMPLE_BYTES)
            sample += file.read(_SAMPLE_BYTES)
    if not sample:
        return 0
    return int(1.5 * size * len(zlib.compress(sample, 1)) / len(sample)) + 1024 * 1024


def archive(service: str, container: dict[str, Any], keep_dir: str, state_dir: str, *, timeout: float) -> dict[str, Any]:
    """Copy the log away, prove the copy, cut the log. Returns the copy, what was freed, and how long it was paused."""
    log = str(container["LogPath"])
    size = os.stat(log).st_size
    check_room(keep_dir, projected_bytes(log, size), f"The archive of the log of {service}")
    private_directory(keep_dir)
    private_directory(state_dir)
    target = os.path.join(keep_dir, base_name(service, container, utc(time.time())) + ".json-log.gz")
    bulk, rest = f"{target}.bulk.partial", f"{target}.rest.partial"
    note = {
        "service": service,
        "container_id": container["Id"],
        "drafts": [bulk, rest],
        "boot_id": boot_id(),
        "pid": os.getpid(),
    }
    limit = timeout * 200
    write_json(journal_path(state_dir), {**note, "container_id": None, "since": time.time()})
    try:
        inode = os.stat(log).st_ino
        compress(["head", "-c", str(size), "--", log], bulk, limit)
        _compare(["head", "-c", str(size), "--", log], bulk, limit)
        running = bool((container.get("State") or {}).get("Running")) and not (container.get("State") or {}).get("Paused")
        with _paused(container["Id"], running, state_dir, note, timeout) as window:
            grown = os.stat(log)
            if grown.st_ino != inode or grown.st_size < size:
                raise NotKept(
                    f"The log of {service} was rotated while it was copied: nothing was cut; run the same command again."
                )
            more = ["tail", "-c", f"+{size + 1}", "--", log]
            compress(more, rest, limit)
            _compare(more, rest, limit)
            _append(rest, bulk)
            digest = seal(bulk, target)
            os.truncate(log, 0)
    finally:
        for draft in (bulk, rest):
            if os.path.exists(draft):
                os.unlink(draft)
        if paused_by_us(state_dir) is None:
            forget(journal_path(state_dir))
    return {
        "service": service,
        "path": target,
        "sha256": digest,
        "bytes": os.stat(target).st_size,
        "freed_bytes": grown.st_size,
        "paused_seconds": window.get("seconds"),
    }


@contextmanager
def _paused(container: str, running: bool, state_dir: str, note: dict[str, Any], timeout: float) -> Iterator[dict[str, float]]:
    window: dict[str, float] = {}
    if not running:
        yield window
        return
    # The journal first: killed right after the pause, the next run knows whose it is.
    write_json(journal_path(state_dir), {**note, "since": time.time()})
    began = time.monotonic()
    try:
        _pause(container, timeout)
        yield window
    finally:
        _unpause(container, timeout * 4)
        window["seconds"] = round(time.monotonic() - began, 2)
        write_json(journal_path(state_dir), {**note, "container_id": None, "since": time.time()})


def _unpause(container: str, timeout: float) -> None:
    """Whatever became of the pause: ended in the midst of it, only the engine knows whether it took place."""
    answer = run(["docker", "unpause", container], timeout)
    if not answer.ok and _is_paused(container, timeout):
        raise NotKept(f"docker unpause {container[:12]} failed: {sentence_from(answer.err) or 'no answer in time'}.")


def _compare(source: list[str], packed: str, timeout: float) -> None:
    """Byte by byte: what comes out of the archive is what went in."""
    with _reading(source) as original, _reading(["gzip", "-dc", "--", packed]) as unpacked:
        pipes = [pipe for one in (original, unpacked) if (pipe := one.stdout) is not None]
        with subprocess.Popen(
            ["cmp", "--silent", *(f"/dev/fd/{pipe.fileno()}" for pipe in pipes)], pass_fds=[pipe.fileno() for pipe in pipes]
        ) as judge:
            for pipe in pipes:
                pipe.close()
            try:
                same = judge.wait(timeout) == 0
            except subprocess.TimeoutExpired:
                same = False
                for one in (judge, original, unpacked):
                    one.kill()
        if not same or original.wait() != 0 or unpacked.wait() != 0:
            raise NotKept(f"The copy {packed} is not equal to the log: nothing was cut; run the same command again.")


def _reading(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _append(part: str, whole: str) -> None:
    """Two gzip streams one after the other are one gzip file."""
    with open(whole, "ab") as target, open(part, "rb") as source:
        done = subprocess.run(["cat"], stdin=source, stdout=target, check=False)
        if done.returncode != 0:
            raise NotKept(f"{whole} could not be completed (cat ended with {done.returncode}): nothing was cut.")
        os.fsync(target.fileno())


def containers_on_disk(root: str) -> list[dict[str, Any]]:
    """The engine's own notes of its containers, for the time in which no daemon answers. None of them runs then."""
    found: list[dict[str, Any]] = []
    folder = os.path.join(root, "containers")
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return found
    for name in names:
        try:
            with open(os.path.join(folder, name, "config.v2.json"), encoding="utf-8") as file:
                note = json.load(file)
        except (OSError, ValueError):
            continue  # half created; it has no log
        if isinstance(note, dict) and isinstance(note.get("ID"), str):
            found.append(
                {
                    "Id": note["ID"],
                    "LogPath": note.get("LogPath") or "",
                    "Config": note.get("Config") or {},
                    "State": {"Running": False},
                }
            )
    return found
