# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wallet RPC or a daemon that says what it is told, by method: a result, an error, or what is called with the parameters.

To any question of another kind it answers well: a healthy service, and a Prometheus without a series.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"


class RpcServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def methods(self) -> list[str]:
        return [one["method"] for one in self.asked]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked went away, as a module whose time is over does."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RpcServer

    def log_message(self, *_what: object) -> None:
        pass

    def do_GET(self) -> None:
        self._say('{"status": "ok"}')

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/api/v1/"):
            self._say('{"status":"success","data":{"resultType":"vector","result":[]}}')
            return
        question = json.loads(said)
        self.server.paths.append(self.path)
        self.server.asked.append(question)
        answer = self.server.answers[question["method"]]
        if callable(answer):
            answer = answer(question["params"])
        key = "error" if isinstance(answer, dict) and "code" in answer else "result"
        body = answer if isinstance(answer, str) else json.dumps({"id": "0", "jsonrpc": "2.0", key: answer})
        self._say(body)

    def _say(self, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def serving(answers: dict[str, Any], context: ssl.SSLContext | None = None) -> Iterator[RpcServer]:
    server = RpcServer(answers)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = server.url.replace("http:", "https:")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def recorded_rpc(name: str) -> dict[str, Any]:
    """Answers that a real program gave in the lab, word for word."""
    said = json.loads((RECORDED / "monero_rpc.json").read_text(encoding="utf-8"))[name]
    return {method: answer["body"] for method, answer in said.items()}
