# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wallets to back up, a wallet RPC that stands in for the real one, and a way to open archives that is not the tested one."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from unit.plugins.archives import PASSPHRASE

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import Wallet
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_backup import Job, Order, backed_up

KEY = Key(PASSPHRASE)
ADDRESS = "4" + "A" * 94


class Rpc(BaseHTTPRequestHandler):
    """A wallet RPC with one wallet open; store writes its cache anew, as the real one does."""

    protocol_version = "HTTP/1.1"
    asked: list[str]
    answers: dict[str, Any]
    on_store: Callable[[], None]

    def log_message(self, *_what: object) -> None:
        pass

    def do_POST(self) -> None:
        method = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["method"]
        self.asked.append(method)
        if method == "store":
            type(self).on_store()
        answer = self.answers.get(method, {"error": {"code": -32601, "message": "Method not found"}})
        body = json.dumps({"id": "0", "jsonrpc": "2.0", **answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ANSWERS = {
    "get_version": {"result": {"version": 65562}},
    "get_height": {"result": {"height": 101}},
    "store": {"result": {}},
    "get_address": {"result": {"address": ADDRESS, "addresses": [{"address_index": 0}, {"address_index": 7}]}},
    "is_multisig": {"result": {"multisig": True, "ready": True, "threshold": 2, "total": 3}},
    "get_transfers": {"result": {"in": [{"height": 60, "amount": 987654321}, {"height": 57, "amount": 1}]}},
}


@contextmanager
def wallet_rpc(answers: dict[str, Any], on_store: Callable[[], None] = lambda: None) -> Iterator[tuple[Wallet, list[str]]]:
    asked: list[str] = []
    handler = type("Answering", (Rpc,), {"asked": asked, "answers": answers, "on_store": staticmethod(on_store)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Wallet("buyer", f"http://127.0.0.1:{server.server_address[1]}"), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def opened(keys: Path) -> Iterator[None]:
    """As a wallet program does: it holds a lock on the keys of what it has open."""
    with keys.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wallets(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.keys").write_bytes(f"keys of {folder.name} {name}".encode())
        (folder / name).write_bytes(f"cache of {folder.name} {name}".encode() * 500)
        (folder / f"{name}.address.txt").write_text(ADDRESS)
    return folder


def order(folder: Path, **changes: Any) -> Order:
    return replace(Order("market-1", str(folder / "backups"), KEY, floor=0, timeout=2.0, store_timeout=2.0), **changes)


def job(folder: Path, role: str = "buyer", rpc: Wallet | None = None) -> Job:
    return Job(role, str(folder / role), rpc)


def made(wanted: Order, *jobs: Job) -> list[dict[str, Any]]:
    found = backed_up(wanted, list(jobs))
    assert [one["problem"] for one in found] == [""] * len(found)
    return found


def unpacked(path: str) -> dict[str, bytes]:
    """By the gpg command and Python's tarfile, not by what is tested."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode() + b"\n")
    os.close(writing)
    argv = [
        "gpg",
        "--batch",
        "--homedir",
        "/nonexistent",
        "--no-keyring",
        "--pinentry-mode",
        "loopback",
        "--passphrase-fd",
        str(reading),
    ]
    plain = subprocess.run([*argv, "--decrypt", path], pass_fds=[reading], capture_output=True, check=True).stdout
    os.close(reading)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive.getmembers()}  # type: ignore[union-attr]


def aged(folder: Path, days: float) -> Path:
    """The newest archive, made that many days earlier."""
    newest = _backup_shelf.archives(str(folder))[0]
    name = _backup_shelf.WALLETS.name_of("buyer", newest.created - days * 86400)
    for ending in ("", ".sha256", ".manifest.json"):
        shutil.copy2(newest.path + ending, folder / (name + ending))
    noted = folder / f"{name}.sha256"
    noted.write_text(noted.read_text().replace(os.path.basename(newest.path), name))
    return folder / name
