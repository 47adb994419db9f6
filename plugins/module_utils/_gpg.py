# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Streams through gpg: the secret by a file descriptor, the verdict by gpg's own status lines, never by its words.

With a passphrase nothing of the host's gpg is used: no keyring, no settings, no agent. With a key it is the keyring of whoever we are,
and nothing else: gpg itself would ask the recipient's mail domain for a key it does not have, and believe the answer.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import os
import pwd
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Iterator, cast
from urllib.parse import unquote

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# What gpg says beside its data. A hostile archive can make it talk without an end.
SAID_LIMIT = 256 * 1024
CHUNK = 256 * 1024
_STATUS = b"[GNUPG:] "
_ALONE = ["--homedir", "/nonexistent", "--no-keyring", "--no-random-seed-file", "--no-autostart"]
_KEYRING = ["--no-auto-key-locate", "--disable-dirmngr"]
_LOCKED = ["--cipher-algo", "AES256", "--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-count", "65011712"]
# Packets that begin an encrypted message, in the old and the new form of a packet's first byte.
_BY_PASSPHRASE, _BY_KEY = (0x8C, 0x8D, 0xC3), (0x84, 0x85, 0x86, 0xC1)
_ARMOUR = b"-----BEGIN PGP MESSAGE"


@dataclass(frozen=True)
class Key:
    """What locks and opens archives. Never shown: neither in an error nor in a representation."""

    passphrase: str = ""
    recipient: str = ""

    def __repr__(self) -> str:
        return "Key(…)"


class GpgProblem(Exception):
    """kind: not_gpg, no_gpg, wrong_passphrase, no_passphrase, no_secret_key, no_recipient, damaged, too_slow. The text goes after a path."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def locked_by(path: str) -> str:
    """passphrase or key, by the first packet; an armoured one does not show it without being read, and counts as key."""
    with open(path, "rb") as file:
        first = file.read(len(_ARMOUR))
    if first[:1] and first[0] in _BY_PASSPHRASE:
        return "passphrase"
    if first == _ARMOUR or (first[:1] and first[0] in _BY_KEY):
        return "key"
    raise GpgProblem("not_gpg", "is no file that gpg has encrypted")


def _environment() -> dict[str, str]:
    # Under sudo HOME may still be the caller's, whose keyring is not ours.
    return {**os.environ, "LC_ALL": "C.UTF-8", "HOME": pwd.getpwuid(os.geteuid()).pw_dir}


def version() -> str | None:
    """As gpg says it; None without gpg."""
    try:
        said = subprocess.run(
            ["gpg", "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        ).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return clean_line(said.partition(b"\n")[0].rpartition(b" ")[2], 40) or None


class Stream:
    """A gpg at work. Its status lines are collected meanwhile, so that it never waits for us to read them."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        self._child, self._seconds = child, seconds
        self._said = bytearray()
        self._late = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._alarm = threading.Timer(seconds, self._ring)
        self._alarm.daemon = True
        self._alarm.start()

    def _listen(self) -> None:
        stream = self._child.stderr
        with suppress(ValueError):  # whoever is done with the archive has closed it
            while stream is not None and (chunk := stream.read1(65536)):  # type: ignore[attr-defined]
                self._said.extend(chunk[: max(0, SAID_LIMIT - len(self._said))])

    def _ring(self) -> None:
        self._late = True
        self._child.kill()

    def read(self, size: int) -> bytes:
        return b"" if self._child.stdout is None else self._child.stdout.read(size)

    def status(self) -> dict[str, list[str]]:
        """The arguments of each status line, by its keyword."""
        found: dict[str, list[str]] = {}
        for line in bytes(self._said).split(b"\n"):
            if line.startswith(_STATUS):
                keyword, _space, rest = line[len(_STATUS) :].decode("utf-8", "replace").partition(" ")
                found.setdefault(keyword, []).append(clean_line(rest, 200))
        return found

    def ended(self) -> int:
        """The exit status, when it has said everything. Late is an answer of its own."""
        code = self._child.wait()
        self._listener.join()
        self._alarm.cancel()
        if self._late:
            raise GpgProblem("too_slow", f"took gpg longer than {self._seconds:g} s")
        return code

    def stop(self) -> None:
        self._alarm.cancel()
        with suppress(ProcessLookupError):
            self._child.kill()
        self._listener.join(5)


class Plain(Stream):
    """What an archive holds, as gpg hands it out: not to be believed before opened() has returned."""

    def opened(self, most: int) -> None:
        """Read what is left, at most so many bytes, and take gpg's verdict."""
        while most > 0 and (chunk := self.read(min(CHUNK, most))):
            most -= len(chunk)
        if most <= 0:
            raise GpgProblem("too_big", "holds more than it may")
        code, said = self.ended(), self.status()
        if code == 0 and "DECRYPTION_OKAY" in said:
            return
        if "PLAINTEXT" not in said and "BADMDC" not in said:
            if "NEED_PASSPHRASE_SYM" in said and "DECRYPTION_FAILED" in said:
                raise GpgProblem(
                    "wrong_passphrase",
                    "does not open with the passphrase given (another one is needed, or its first bytes are damaged)",
                )
            if "NO_SECKEY" in said or ("ENC_TO" in said and "DECRYPTION_FAILED" in said):
                key = said.get("NO_SECKEY", said.get("ENC_TO", [""]))[0].split(" ")[0]
                raise GpgProblem("no_secret_key", f"is encrypted to key {key}, whose secret part this host cannot use")
        raise GpgProblem("damaged", "is damaged or ends early: gpg could not decrypt it to its end")

    def label(self) -> str:
        """What whoever encrypted it has named it, as gpg says it. To be believed as little as the rest before opened() has returned."""
        said = self.status().get("PLAINTEXT", [""])[0].split(" ")
        return unquote(said[2]) if len(said) > 2 else ""


@contextmanager
def decrypting(path: str, key: Key, seconds: float, target: Any = subprocess.PIPE) -> Iterator[Plain]:
    """gpg --decrypt of a file, to be read from what it yields or written to target. It ends with the block, whatever happens in it."""
    how = locked_by(path)
    if how == "passphrase" and not key.passphrase:
        raise GpgProblem("no_passphrase", "is locked by a passphrase, and none is given")
    with open(path, "rb") as source, _gpg(["--decrypt"], key, how == "passphrase", source, target) as child:
        stream = Plain(child, seconds)
        try:
            yield stream
        finally:
            stream.stop()


@contextmanager
def encrypting(target: IO[bytes], key: Key, seconds: float, label: str = "") -> Iterator[tuple[IO[bytes], Stream]]:
    """gpg --encrypt or --symmetric into an open file: write into the first, close it, then ask sealed() for the verdict.

    The label lies inside what is encrypted; Plain.label() tells it.
    """
    what = ["--set-filename", label, "--compress-algo", "none"]
    if key.recipient:
        what += ["--trust-model", "always", "--recipient", key.recipient, "--encrypt"]
    else:
        what += [*_LOCKED, "--symmetric"]
    with _gpg(what, key, not key.recipient, subprocess.PIPE, target) as child:
        stream = Stream(child, seconds)
        inlet = cast("IO[bytes]", child.stdin)
        try:
            yield inlet, stream
        finally:
            stream.stop()
            with suppress(BrokenPipeError):
                inlet.close()


def sealed(stream: Stream, key: Key) -> None:
    """gpg's verdict on what it was given to encrypt."""
    code, said = stream.ended(), stream.status()
    if code == 0 and "END_ENCRYPTION" in said:
        return
    if "INV_RECP" in said:
        raise GpgProblem(
            "no_recipient", f"cannot be encrypted to '{clean_line(key.recipient, 80)}': this host's keyring has no such key"
        )
    raise GpgProblem("damaged", f"was not encrypted: gpg ended with {code}")


@contextmanager
def _gpg(what: list[str], key: Key, alone: bool, source: Any, target: Any) -> Iterator[subprocess.Popen[bytes]]:
    argv = ["gpg", "--batch", "--no-tty", "--no-options", "--status-fd", "2", *(_ALONE if alone else _KEYRING)]
    with ExitStack() as stack:
        given: list[int] = []
        if key.passphrase:
            given = [_handed(key.passphrase, stack)]
            argv += ["--pinentry-mode", "loopback", "--passphrase-fd", str(given[0])]
        else:
            # Nobody is there to be asked.
            argv += ["--pinentry-mode", "error"]
        try:
            child = subprocess.Popen(
                [*argv, *what], stdin=source, stdout=target, stderr=subprocess.PIPE, pass_fds=given, env=_environment()
            )
        except FileNotFoundError:
            raise GpgProblem("no_gpg", "needs gpg, which is not on this host: apt-get install gnupg") from None
        stack.close()
    with child:
        yield child


def _handed(passphrase: str, stack: ExitStack) -> int:
    """A pipe that already holds the passphrase; nothing but its number is seen by others."""
    if "\n" in passphrase or len(passphrase) > 1024:
        raise GpgProblem("no_passphrase", "needs a passphrase of one line with at most 1024 characters")
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(passphrase.encode() + b"\n")
    return reading
