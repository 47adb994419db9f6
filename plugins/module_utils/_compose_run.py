# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Commands and other slow questions, each bounded in time and in size, asked side by side."""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

OUTPUT_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Ran:
    """What a command did. status is None where it did not end in time, 127 where it does not exist."""

    argv: tuple[str, ...]
    status: int | None
    out: bytes = b""
    err: bytes = b""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def timed_out(self) -> bool:
        return self.status is None

    @property
    def absent(self) -> bool:
        return self.status == 127


def run(
    argv: Sequence[str],
    timeout: float,
    *,
    cwd: str | None = None,
    limit: int = OUTPUT_LIMIT,
    extra: Mapping[str, str] | None = None,
    owner_of: str | None = None,
) -> Ran:
    """Run a command in its own process group; whatever it started ends with it. With owner_of, as the user whom that path belongs to."""
    began = time.monotonic()
    environment = dict(os.environ, LC_ALL="C.UTF-8", DOCKER_CLI_HINTS="false", NO_COLOR="1", **(extra or {}))
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            **_as_owner_of(owner_of),
        )
    except FileNotFoundError as missing:
        return Ran(tuple(argv), 127, err=str(missing).encode())
    with child:
        in_time = False
        try:
            said, in_time = _listen(child, began + timeout, limit)
        finally:
            # Also when we are told to end ourselves.
            if not in_time:
                _end(child)
    return Ran(tuple(argv), child.returncode if in_time else None, said[0], said[1], time.monotonic() - began)


def _as_owner_of(path: str | None) -> dict[str, Any]:
    """A work tree names programs that git runs while it only reads: those of another user must not run as root."""
    try:
        state = os.stat(path) if path is not None and os.geteuid() == 0 else None
    except OSError:
        return {}
    return {} if state is None or state.st_uid == 0 else {"user": state.st_uid, "group": state.st_gid, "extra_groups": []}


def _listen(child: subprocess.Popen[bytes], deadline: float, limit: int) -> tuple[list[bytes], bool]:
    """Output and errors until the command ends or the time is over; what exceeds the limit is read and dropped.

    Through pipes into memory, because the disk may be the thing that is full.
    """
    streams = [stream for stream in (child.stdout, child.stderr) if stream is not None]
    said = [bytearray() for _stream in streams]
    with selectors.DefaultSelector() as ready:
        for number, stream in enumerate(streams):
            ready.register(stream, selectors.EVENT_READ, number)
        while ready.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return [bytes(part) for part in said], False
            for key, _events in ready.select(left):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    ready.unregister(key.fileobj)
                said[key.data].extend(chunk[: max(0, limit - len(said[key.data]))])
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return [bytes(part) for part in said], False
    return [bytes(part) for part in said], True


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


class Questions:
    """Questions asked side by side: each in a thread that cannot keep the module alive.

    An answer that does not come in time is missing, and asking for it raises KeyError.
    """

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._answers: dict[str, Any] = {}
        self._failures: dict[str, BaseException] = {}

    def ask(self, name: str, question: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        def answer() -> None:
            try:
                self._answers[name] = question(*arguments, **options)
            except BaseException as failure:  # noqa: BLE001  raised again in the thread that asked
                self._failures[name] = failure

        thread = threading.Thread(target=answer, name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def answer(self, name: str, timeout: float = 30.0) -> Any:
        self._threads[name].join(timeout)
        if name in self._failures:
            raise self._failures[name]
        return self._answers[name]


def ask_all(questions: Mapping[str, Callable[[], Any]], timeout: float) -> dict[str, Any]:
    """Ask every question at once; only those that answer in time are in the reply."""
    asked = Questions()
    for name, question in questions.items():
        asked.ask(name, question)
    deadline = time.monotonic() + timeout
    answers: dict[str, Any] = {}
    for name in questions:
        try:
            answers[name] = asked.answer(name, max(0.0, deadline - time.monotonic()))
        except KeyError:
            continue
    return answers
