# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers as badly as the first word of the path says, to whichever method: over real TCP, with bytes of its own."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GIBIBYTE = 1024**3
PATIENCE = 20.0
STEP = 0.05


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def says(body: bytes, status: int = 200, *headers: str) -> Callable[[socket.socket], None]:
    return lambda plug: plug.sendall(http(body, status, *headers))


def hang(plug: socket.socket) -> None:
    plug.settimeout(PATIENCE)
    plug.recv(1)  # until the other side has had enough


def hang_in_body(plug: socket.socket) -> None:
    plug.sendall(b'HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{"result":')
    hang(plug)


def drip(head: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def answer(plug: socket.socket) -> None:
        plug.sendall(head)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            plug.sendall(drop)
            time.sleep(STEP)

    return answer


def flood(head: bytes) -> Callable[[socket.socket], None]:
    def answer(plug: socket.socket) -> None:
        plug.sendall(head)
        for _mebibyte in range(2 * 1024):
            plug.sendall(b" " * 1024**2)

    return answer


def reset(plug: socket.socket) -> None:
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


DIGEST = 'WWW-Authenticate: Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="n==",stale=false'
OK = b"HTTP/1.1 200 X\r\n"
BEHAVIOURS: dict[str, Callable[[socket.socket], None]] = {
    "hang": hang,
    "hang_in_body": hang_in_body,
    "drip_headers": drip(OK, b"X-Y: z\r\n"),
    "drip_body": drip(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "drip_to_the_end": drip(OK + b"Connection: close\r\n\r\n", b" "),
    "two_gigabytes": flood(OK + f"Content-Length: {2 * GIBIBYTE}\r\n\r\n".encode()),
    "endless_body": flood(OK + b"Connection: close\r\n\r\n"),
    "endless_header": flood(OK + b"X-Y: "),
    "invalid_json": says(b"{'result': 1}"),
    "truncated_json": says(b'{"id":"0","jsonrpc":"2.0","result":{"height":1'),
    "truncated_body": lambda plug: plug.sendall(OK + b'Content-Length: 1000\r\n\r\n{"result":{}}'),
    "html": says(b"<html><body>It works!</body></html>"),
    "empty": says(b""),
    "no_object": says(b'["a"]'),
    "wrong_types": says(
        b'{"id":"0","jsonrpc":"2.0","result":{"version":"x","height":"7","synchronized":"yes"},'
        b'"status":"success","data":{"resultType":"vector","result":[{"metric":[],"value":"x"}]}}'
    ),
    "wrong_error": says(b'{"id":"0","error":{"code":{"x":1},"message":["y"]},"status":"error","errorType":{},"error":[]}'),
    "huge_numbers": says(
        b'{"id":"0","result":{"version":' + b"9" * 50_000 + b',"height":' + b"9" * 10_000 + b'},"status":"success",'
        b'"data":{"resultType":"scalar","result":[1e999,"1"]}}'
    ),
    "nan": says(
        b'{"result":{"version":NaN,"height":NaN},"status":"success","data":{"resultType":"scalar","result":[NaN,"1"]}}'
    ),
    "deep": says(b'{"result":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    "deep_objects": says(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "many_parts": says(b"[" + b"[],{}," * 600_000 + b"1]"),
    "redirect": lambda plug: plug.sendall(http(b"", 302, "Location: /redirect/json_rpc")),
    "gzip_bomb": says(gzip.compress(b" " * (256 * 1024**2), 1), 200, "Content-Encoding: gzip"),
    "login": says(b"", 401, DIGEST),
    "other_login": says(b"", 401, 'WWW-Authenticate: Basic realm="x"'),
    "too_many": says(b"slow down", 429, "Retry-After: 3600"),
    "broken": says(json.dumps({"error": "boom"}).encode(), 500),
    "closed": lambda _plug: None,
    "reset": reset,
    "no_http": says(b""),
}
BEHAVIOURS["no_http"] = lambda plug: plug.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
METHOD = re.compile(rb'"method": *"(\w+)"')
# What a program that is well says, so that the plain cost of a module is known.
WELL = {
    b"get_version": {"version": 65562},
    b"get_height": {"height": 100},
    b"get_address": {"address": "4" + "A" * 94},
    b"is_multisig": {"multisig": True, "ready": True, "threshold": 2, "total": 3},
    b"get_balance": {"balance": 1, "unlocked_balance": 1, "multisig_import_needed": False},
    b"get_info": {"height": 100, "target_height": 0, "synchronized": True, "outgoing_connections_count": 8, "offline": False},
    b"get_last_block_header": {"block_header": {"timestamp": 1}},
}


def well(plug: socket.socket, request: bytes) -> None:
    said = METHOD.search(request)
    told = {"result": WELL[said[1]]} if said else {"status": "success", "data": {"resultType": "vector", "result": []}}
    plug.sendall(http(json.dumps(told).encode()))


def _read_request(plug: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        chunk = plug.recv(65536)
        if not chunk:
            return b""
        request += chunk
    length = re.search(rb"(?i)content-length: *(\d+)", request)
    while length and len(request.partition(b"\r\n\r\n")[2]) < int(length[1]):
        request += plug.recv(65536)
    return request


def _serve(plug: socket.socket) -> None:
    # Whoever has had enough closes while we still talk: that is the point.
    with plug, contextlib.suppress(OSError):
        while request := _read_request(plug):
            name = request.split(b" ", 2)[1].split(b"/")[1].decode()
            if name == "well":
                well(plug, request)
                continue
            BEHAVIOURS[name](plug)
            if name not in ("login", "other_login"):
                return


@contextmanager
def serving() -> Iterator[str]:
    """Its address; the behaviour is named after it."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=_serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
