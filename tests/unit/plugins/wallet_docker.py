# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for `docker` where tests open wallets: `run` is a wallet RPC whose wallets are small JSON files.

A .keys file says {"address", "secret", "password"} in Monero's outer shape; a cache says {"height"}, and may say {"import_needed", "in",
"out", "pending"}; one that begins with deadly kills what opens it. What it is asked to do is noted in $WALLET_DOCKER/calls;
$WALLET_DOCKER/mood makes it hang, die or fail to start.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

HOME = os.environ["WALLET_DOCKER"]
NOTE = os.path.join(HOME, "running")


def mood():
    try:
        with open(os.path.join(HOME, "mood"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def running():
    try:
        with open(NOTE, encoding="ascii") as file:
            pid = int(file.read() or 0)
        os.kill(pid, 0)
        return pid
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return 0


class Wallets:
    """The wallet RPC as far as it is asked."""

    def __init__(self, folder):
        self.folder, self.open = folder, None

    def get_version(self, _params):
        return {"version": 65562}

    def deadly(self, base):
        if not os.path.exists(base):
            return False
        with open(base, "rb") as file:
            return file.read(6) == b"deadly"

    def open_wallet(self, params):
        base = os.path.join(self.folder, params["filename"])
        with open(base + ".keys", "rb") as file:
            raw = file.read()
        try:
            keys = json.loads(raw[10:])
        except ValueError:
            print("W ./src/wallet/wallet2.cpp:4124: internal error: failed to deserialize keys buffer", flush=True)
            raise RuntimeError("Failed to open wallet") from None
        if keys["password"] != params["password"]:
            print("W ./src/wallet/wallet2.cpp:4426: invalid_passwordE: invalid password", flush=True)
            raise RuntimeError("Failed to open wallet")
        print("W Loaded wallet keys file, with public address: " + keys["address"], flush=True)
        if mood() == "dies" or (mood() == "dies of the cache" and os.path.exists(base)) or self.deadly(base):
            os._exit(9)
        cache = {"height": 1}
        if os.path.exists(base):
            with open(base, encoding="utf-8", errors="replace") as file:
                try:
                    cache = json.load(file)
                except ValueError:
                    print("W Failed to open portable binary, trying unportable", flush=True)
                    raise RuntimeError("Failed to open wallet") from None
        self.open = dict(keys, **cache)
        return {}

    def close_wallet(self, _params):
        self.open = None
        return {}

    def get_address(self, _params):
        return {"address": self.open["address"]}

    def is_multisig(self, _params):
        return {"multisig": True, "ready": True, "threshold": 2, "total": 3}

    def query_key(self, _params):
        return {"key": self.open["secret"]}

    def get_height(self, _params):
        return {"height": self.open["height"]}

    def get_balance(self, _params):
        return {"balance": 0, "multisig_import_needed": self.open.get("import_needed", False)}

    def get_transfers(self, params):
        return {way: self.open.get(way, []) for way in ("in", "out", "pending") if params[way]}


def serve(arguments):
    folder = arguments[arguments.index("--volume") + 1].partition(":")[0]
    port = next(int(one.partition("=")[2]) for one in arguments if one.startswith("--rpc-bind-port="))
    wallets = Wallets(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if mood() == "hangs" and question["method"] == "open_wallet":
                signal.pause()
            try:
                reply = {"result": getattr(wallets, question["method"])(question["params"])}
            except RuntimeError as problem:
                reply = {"error": {"code": -1, "message": str(problem)}}
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_what):
            pass

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        with open(NOTE, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        server.serve_forever()


def main():
    with open(os.path.join(HOME, "calls"), "a", encoding="utf-8") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    verb, pid = sys.argv[1], running()
    if verb == "run":
        if mood() == "absent":
            sys.exit("docker: Error response from daemon: No such image: absent:latest.")
        serve(sys.argv)
    elif verb == "ps" and pid:
        print(pid)
    elif verb == "rm" and pid:
        os.kill(pid, signal.SIGKILL)
        os.unlink(NOTE)
    elif verb == "inspect":
        if not pid:
            sys.exit("Error: No such object")
        print(pid)


if __name__ == "__main__":
    main()
