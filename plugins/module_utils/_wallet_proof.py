# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Open copies of wallets in a throw-away container without any network, and say what they are.

What Monero does, as measured: the wallets of one escrow share address and view key, and only the spend key is each signer's own. A cache
has no checksum: flipped bytes in it are taken, and so is another signer's. A wallet without a cache opens and starts anew.

The secret that tells signers apart becomes a keyed hash in memory, whose key is thrown away: it is comparable within one look only.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field, replace
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions, run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import (
    clean_line,
    clean_lines,
    human_bytes,
    sentence_from,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    REPLY_LIMIT,
    NoAnswer,
    Rpc,
    RpcError,
)

NAME = "marketplace-wallet-proof"
LABEL = "marketplace_incident=wallet-proof"
PORT = 18082
CLONE_NEWNET = 0x40000000
DOCKER_SECONDS = 20.0
OPEN_SECONDS = 150.0
# Copies must not be what fills a file system that lives in memory.
FLOOR_BYTES = 16 * 1024 * 1024
# Within the container.
TEMPORARY = "/tmp:mode=1777"  # noqa: S108
NETWORKS = {"mainnet": [], "stagenet": ["--stagenet"], "testnet": ["--testnet"]}


class NoProof(Exception):
    """The throw-away wallet RPC could not be asked; the text is one sentence."""


class Died(NoProof):
    """It ended while it was opening something."""


@dataclass(frozen=True)
class Place:
    """Where and how long wallets are looked at."""

    image: str
    scratch_dir: str
    timeout: float
    network: str = "mainnet"


@dataclass(frozen=True)
class Copy:
    """The files of one wallet that are to be opened. Without a cache only the keys are; without a password by that of the others."""

    keys: str
    cache: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Seen:
    """What the throw-away wallet RPC made of it. keys: open, refused, damaged or unknown."""

    keys: str
    cache_loads: bool | None = None
    address: str | None = None
    signer: str | None = None
    multisig: dict[str, Any] | None = None
    height: int | None = None
    words: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Seen({self.keys})"


@dataclass(frozen=True)
class Bench:
    """Copies that are laid out for a throw-away wallet RPC, and the names that they have there."""

    place: Place
    work: str
    deadline: float
    names: dict[str, str]

    def session(self, limit: int = REPLY_LIMIT) -> contextlib.AbstractContextManager[_Session]:
        return _running(self.place, self.work, self.deadline, limit)


@contextlib.contextmanager
def laid_out(copies: dict[str, Copy], place: Place) -> Iterator[Bench]:
    """Copies of the files, gone afterwards; one look at a time."""
    deadline = time.monotonic() + place.timeout
    before = os.umask(0o077)
    try:
        _incident_files.private_directory(place.scratch_dir)
    finally:
        os.umask(before)
    with _incident_files.locked(os.path.join(place.scratch_dir, "lock"), place.timeout):
        work = os.path.join(place.scratch_dir, "work")
        # What an earlier look left that was killed.
        _swept(work)
        with contextlib.ExitStack() as after:
            after.callback(_swept, work)
            _laid_out(copies, work)
            yield Bench(place, work, deadline, {label: f"w{number}" for number, label in enumerate(copies)})


def look(copies: dict[str, Copy], password: str, place: Place) -> dict[str, Seen]:
    """All of them by one throw-away container, which is gone afterwards, and so are the copies."""
    with laid_out(copies, place) as bench, bench.session() as session:
        passwords = {label: password if copy.password is None else copy.password for label, copy in copies.items()}
        found = {label: session.keys(bench.names[label], passwords[label]) for label in copies}
        # The caches last: a damaged one may take the whole wallet RPC with it.
        for label, copy in copies.items():
            if copy.cache is not None and found[label].keys == "open":
                found[label] = session.cache(f"{bench.names[label]}c", passwords[label], found[label])
        return found


def _laid_out(copies: dict[str, Copy], work: str) -> None:
    """Copies under names of our own, readable for root only. The keys lie twice: alone, and beside their cache."""
    wanted = sum(os.path.getsize(path) for copy in copies.values() for path in (copy.keys, copy.keys, copy.cache) if path)
    state = os.statvfs(os.path.dirname(work))
    free = state.f_bavail * state.f_frsize
    if free - wanted < FLOOR_BYTES:
        raise NoProof(
            f"Copies of the wallets need {human_bytes(wanted)} in {os.path.dirname(work)}, where {human_bytes(free)} are free: "
            "name a scratch_dir with more room."
        )
    _incident_files.private_directory(work)
    _incident_files.private_directory(os.path.join(work, "wallets"))
    for number, copy in enumerate(copies.values()):
        base = os.path.join(work, "wallets", f"w{number}")
        _copied(copy.keys, f"{base}.keys")
        if copy.cache is not None:
            _copied(copy.keys, f"{base}c.keys")
            _copied(copy.cache, f"{base}c")


def _copied(source: str, target: str) -> None:
    with os.fdopen(_incident_files.open_regular(source), "rb") as there:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as here:
            shutil.copyfileobj(there, here)


def _swept(work: str) -> None:
    """The container first: it could write to what is wiped after it."""
    found = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"], DOCKER_SECONDS)
    left = found.out.decode("ascii", "replace").split()
    if left:
        run(["docker", "rm", "--force", "--volumes", *left], DOCKER_SECONDS)
    for folder, _folders, names in os.walk(work):
        for name in names:
            _wiped(os.path.join(folder, name))
    if os.path.isdir(work):
        shutil.rmtree(work)


def _wiped(path: str) -> None:
    if not os.path.islink(path):
        with open(path, "r+b") as file:
            file.write(bytes(min(os.path.getsize(path), 1024 * 1024)))
            file.flush()
            os.fsync(file.fileno())
    os.unlink(path)


@contextlib.contextmanager
def _running(place: Place, work: str, deadline: float, limit: int) -> Iterator[_Session]:
    """The wallet RPC of the wallet's own image. timeout ends it where this process is killed and cannot."""
    if not place.image:
        raise NoProof("No image is named whose monero-wallet-rpc could open a copy: name the image of the wallet's container.")
    argv = [
        "timeout", "--kill-after=10", str(int(place.timeout) + 30),
        "docker", "run", "--rm", "--name", NAME, "--label", LABEL, "--network", "none", "--pull", "never",
        "--read-only", "--user", "0:0", "--userns", "host", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--pids-limit", "256", "--log-driver", "none", "--tmpfs", TEMPORARY, "--volume", f"{work}/wallets:/wallets",
        "--entrypoint", "monero-wallet-rpc", place.image,
        "--offline", "--wallet-dir=/wallets", "--rpc-bind-ip=127.0.0.1", f"--rpc-bind-port={PORT}", "--disable-rpc-login",
        "--non-interactive", "--log-level=0", "--log-file=/tmp/log", "--shared-ringdb-dir=/tmp/rings", *NETWORKS[place.network],
    ]  # fmt: skip
    log = os.path.join(work, "log")
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True)
    finally:
        os.close(handle)
    with contextlib.ExitStack() as after:
        after.callback(_ended, child)
        yield _Session(_pid(child, log, deadline), child, log, deadline, limit)


def _ended(child: subprocess.Popen[bytes]) -> None:
    run(["docker", "rm", "--force", "--volumes", NAME], DOCKER_SECONDS)
    try:
        child.wait(DOCKER_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _pid(child: subprocess.Popen[bytes], log: str, deadline: float) -> int:
    """The main process of the container, by which its network is reached."""
    while time.monotonic() < deadline:
        found = run(["docker", "inspect", "--format", "{{.State.Pid}}", NAME], DOCKER_SECONDS)
        pid = found.out.strip()
        if found.ok and pid.isdigit() and int(pid) > 0:
            return int(pid)
        if child.poll() is not None:
            raise NoProof(f"The throw-away wallet RPC did not start: {_last_words(log)}.")
        time.sleep(0.1)
    raise NoProof("The throw-away wallet RPC did not start in time: `docker ps` shows whether Docker answers.")


def _last_words(log: str) -> str:
    with open(log, "rb") as file:
        return sentence_from(file.read(65536)) or "it said nothing"


class _Inside(http.client.HTTPConnection):
    """A connection within the network of another process."""

    def __init__(self, pid: int, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self._pid = pid

    def connect(self) -> None:
        asked = Questions()
        asked.ask("socket", _connected, self._pid, self.port, self.timeout)
        try:
            self.sock = asked.answer("socket", 10.0)
        except KeyError:
            raise socket.timeout("timed out") from None


def _connected(pid: int, port: int, timeout: float) -> socket.socket:
    """In a thread of its own, which alone changes over and then ends; its socket stays where it was made."""
    library = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net", "rb") as network:
        if library.setns(network.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"/proc/{pid}/ns/net")
    return socket.create_connection(("127.0.0.1", port), timeout)


class InsideRpc(Rpc):
    """An RPC in a container that no other network reaches."""

    def __init__(self, pid: int, limit: int = REPLY_LIMIT) -> None:
        super().__init__(f"http://127.0.0.1:{PORT}", limit=limit)
        self._connection = _Inside(pid, PORT)
        self._connection.auto_open = 0


class _Session:
    """The throw-away wallet RPC, asked one thing at a time."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes], log: str, deadline: float, limit: int = REPLY_LIMIT) -> None:
        self._pid, self._child, self._log, self._deadline, self._limit = pid, child, log, deadline, limit
        self._salt = os.urandom(32)
        self._ready()

    def _ready(self) -> None:
        while True:
            try:
                self._ask("get_version", {}, 5.0)
                return
            except NoAnswer as silence:
                if self._child.poll() is not None:
                    raise NoProof(f"The throw-away wallet RPC ended at once: {_last_words(self._log)}.") from None
                if time.monotonic() >= self._deadline:
                    raise NoProof(f"The throw-away wallet RPC did not answer in time: {silence}.") from None
            time.sleep(0.1)

    def _ask(self, method: str, params: dict[str, Any], most: float) -> dict[str, Any]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NoProof("The throw-away wallet RPC was not done in time: allow it more.")
        with InsideRpc(self._pid, self._limit) as rpc:
            return rpc.call(method, params, min(most, left))

    def keys(self, name: str, password: str) -> Seen:
        """The keys alone, so that a cache cannot hide them."""
        refusal, words = self._opened(name, password)
        if refusal is not None:
            return Seen(_refusal(words), words=tuple(words))
        facts = self._facts()
        self._ask("close_wallet", {"autosave_current": False}, 30.0)
        return Seen("open", words=tuple(words), **facts)

    def cache(self, name: str, password: str, seen: Seen) -> Seen:
        """The same keys beside their cache."""
        try:
            refusal, words = self._opened(name, password)
        except Died as death:
            return replace(seen, cache_loads=False, words=(*seen.words, str(death)))
        if refusal is not None:
            loaded_keys = any("Loaded wallet keys file" in line for line in words)
            return replace(seen, cache_loads=False if loaded_keys else None, words=(*seen.words, *words))
        height = _number(self._ask("get_height", {}, 10.0).get("height"))
        self._ask("close_wallet", {"autosave_current": False}, 30.0)
        return replace(seen, cache_loads=True, height=height, words=(*seen.words, *words))

    def ledger(self, name: str, password: str) -> dict[str, Any]:
        """What the wallet knows of its money. Without a cache it knows nothing, so it is asked only beside one."""
        refusal, words = self._opened(name, password)
        if refusal is not None:
            return {"problem": f"it does not open ({clean_line(words[-1] if words else refusal, 200)})"}
        try:
            height = _number(self._ask("get_height", {}, 10.0).get("height"))
            balance = self._ask("get_balance", {"account_index": 0}, 30.0)
            wanted = {"in": True, "out": True, "pending": True, "all_accounts": True}
            moved = self._ask("get_transfers", wanted, 120.0)
            self._ask("close_wallet", {"autosave_current": False}, 30.0)
        except (RpcError, NoAnswer) as problem:
            raise Died(f"the throw-away wallet RPC gave no answer about a copy: {clean_line(str(problem), 200)}") from None
        needed = balance.get("multisig_import_needed")
        return {"problem": "", "height": height, "import_needed": needed if isinstance(needed, bool) else None, "moved": moved}

    def _opened(self, name: str, password: str) -> tuple[str | None, list[str]]:
        """Its refusal, None where it opened; and what it logged meanwhile."""
        before = os.path.getsize(self._log)
        try:
            self._ask("open_wallet", {"filename": name, "password": password}, OPEN_SECONDS)
            refusal = None
        except RpcError as refused:
            refusal = str(refused)
        except NoAnswer as silence:
            if "within" not in str(silence) and self._died():
                raise Died(f"the throw-away wallet RPC died of a copy: {_last_words(self._log)}") from None
            raise NoProof(f"The throw-away wallet RPC gave {silence}.") from None
        with open(self._log, "rb") as file:
            file.seek(before)
            words = clean_lines(file.read(256 * 1024))
        return refusal, words + ([refusal] if refusal else [])

    def _facts(self) -> dict[str, Any]:
        address = self._ask("get_address", {"account_index": 0}, 10.0).get("address")
        multisig = self._ask("is_multisig", {}, 10.0)
        secret = str(self._ask("query_key", {"key_type": "spend_key"}, 10.0).get("key") or "")
        signer = hmac.new(self._salt, secret.encode(), hashlib.sha256).hexdigest() if secret.strip("0") else None
        return {
            "address": address if isinstance(address, str) else None,
            "signer": signer,
            "multisig": {
                "ready": multisig.get("ready") is True,
                "threshold": _number(multisig.get("threshold")),
                "total": _number(multisig.get("total")),
            }
            if multisig.get("multisig") is True
            else None,
        }

    def _died(self) -> bool:
        try:
            self._child.wait(5.0)
        except subprocess.TimeoutExpired:
            return False
        return True


def _refusal(words: list[str]) -> str:
    """Why keys did not open. A content that was altered within looks like a wrong password to Monero."""
    said = " ".join(words).lower()
    if "deserialize keys" in said:
        return "damaged"
    if "invalid_password" in said or "invalid password" in said:
        return "refused"
    return "refused" if "failed to open wallet" in said else "unknown"


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
