# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the faults of the database share: its writers halted, its set kept for the way back, what customers get of it.

The set is kept together with the writer's ledger: what was promised after that moment goes back with it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.faults.outside import container_of, must_show
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.shell import wait_until

PATH = "/data/marketplace.db"
LEDGER = "/ledger/ledger.jsonl"
WRITERS = ("server", "database")
# Not below /data: a fault there must not reach it.
KEPT = "/var/lib/marketplace-lab-kept/database"
SCRATCH = "/var/lib/marketplace-lab-kept/copy"
# What a repair may have left beside the database.
BESIDE = f"{PATH}*", "/data/.marketplace_restore", "/data/.marketplace_kept"

STOP_SECONDS = 60

# A copy of the set is looked at, never the set: opening it would write to it.
EXAMINE = r"""
import glob, os, shutil, sqlite3, sys
path, scratch, *questions = sys.argv[1:]
shutil.rmtree(scratch, ignore_errors=True)
os.makedirs(scratch)
for file in glob.glob(path + "*"):
    if file[len(path):] in ("", "-wal"):
        shutil.copy(file, scratch)
try:
    database = sqlite3.connect("file:%s/%s?mode=rw" % (scratch, os.path.basename(path)), uri=True)
    for question in questions:
        for row in database.execute(question).fetchmany(20):
            print(*row)
except sqlite3.Error as problem:
    print("sqlite3:", problem)
shutil.rmtree(scratch)
"""


def examine(lab: Lab, *questions: str) -> list[str]:
    """What SQLite says of a copy of the set, one line a row; its own refusal begins with `sqlite3:`."""
    return lab.run(["python3", "-c", EXAMINE, PATH, SCRATCH, *questions], check=True).stdout.splitlines()


def integrity(lab: Lab) -> list[str]:
    """The first words of a check of a copy; `ok` alone where nothing is wrong."""
    return examine(lab, "PRAGMA integrity_check(20)")


def change(lab: Lab, *statements: str) -> None:
    """By hand on the live database, as somebody does with the sqlite3 shell, which knows no foreign keys."""
    lab.run(["sqlite3", "-bail", "-cmd", ".timeout 10000", PATH, *statements], check=True)


def stop(lab: Lab) -> None:
    """Everyone who writes ends as it should: the write-ahead log goes into the database."""
    lab.docker(["stop", "--time", str(STOP_SECONDS), *writers(lab)], check=True)


def kill(lab: Lab) -> None:
    """Everyone who writes dies where he is, as when the power fails, and nobody starts him: the log stays as it lies."""
    lab.docker(["kill", *writers(lab)], check=True)


def start(lab: Lab) -> None:
    lab.docker(["start", *writers(lab)], check=True)


def writers(lab: Lab) -> list[str]:
    return [container_of(lab, service) for service in WRITERS]


@contextmanager
def paused(lab: Lab) -> Iterator[None]:
    """Everyone who writes stands still where he is."""
    still = writers(lab)
    lab.docker(["pause", *still], check=True)
    try:
        yield
    finally:
        lab.docker(["unpause", *still], check=True)


def keep(lab: Lab) -> None:
    """A copy of the set and of the ledger, for the way back; the writers must stand still or be stopped."""
    script = 'rm -rf "$0"; mkdir -p "$0"; cp -a "$1"* "$2" "$0"'
    lab.run(["sh", "-e", "-c", script, KEPT, PATH, LEDGER], check=True)
    # The index of the log is made anew by whoever opens it.
    lab.run(["rm", "-f", f"{KEPT}/marketplace.db-shm"], check=True)


def deploy(lab: Lab, **settings: str) -> None:
    """As a deployment does, with these in the site's settings; healing takes them out again."""
    script = 'file="$0"; for one; do sed -i "/^${one%%=*}=/d" "$file"; echo "$one" >> "$file"; done'
    chosen = [f"{name}={value}" for name, value in settings.items()]
    lab.run(["sh", "-e", "-c", script, f"{COMPOSE_DIR}/.env", *chosen], check=True)
    # It waits for the health of what may not get well.
    lab.compose(["up", "--detach", "--no-deps", "--no-build", *WRITERS])


def put_back(lab: Lab) -> None:
    """The set and the ledger as they were kept, and nothing beside them."""
    if lab.run(["test", "-d", KEPT]).returncode != 0:
        return
    there = [identity for identity in map(lab.container, WRITERS) if identity]
    still = lab.docker(["ps", "--quiet", "--no-trunc", "--filter", "status=paused"]).stdout.split()
    for identity in there:
        if identity in still:
            lab.docker(["unpause", identity])
    if there:
        lab.docker(["stop", "--time", str(STOP_SECONDS), *there], check=True)
    script = 'rm -rf $3; cp -a "$0"/marketplace.db* /data/; cat "$0"/ledger.jsonl > "$2"; rm -rf "$0"'
    lab.run(["sh", "-e", "-c", script, KEPT, PATH, LEDGER, " ".join(BESIDE)], check=True)
    if there:
        lab.docker(["start", *there], check=True)


def ask(lab: Lab, path: str, body: object = None, seconds: float = 10) -> tuple[int | None, str]:
    """What a customer gets from the server itself; a body is posted."""
    url = f"http://{lab.state['address']}:{lab.ports['health']}{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json", "Connection": "close"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
    except OSError as silent:
        return None, str(silent)


def place_order(lab: Lab) -> str:
    """The reference of an order that the server says it has; empty where it refuses."""
    status, said = ask(lab, "/api/orders", {"total_piconero": 10**9})
    return str(json.loads(said)["reference"]) if status == 201 else ""


def newest_orders(lab: Lab) -> int | None:
    """The answer's status to a customer who looks at the newest orders."""
    return ask(lab, "/api/orders")[0]


def health(lab: Lab) -> int | None:
    return lab.get("health", "/api/health", 3)[0]


def must_serve(lab: Lab, seconds: float = 60) -> None:
    must_show("a server that answers", lambda: health(lab) == 200, seconds)


def server_says(lab: Lab, words: str, lines: int = 400) -> bool:
    """Whether the server's log holds these words."""
    return words in lab.docker(["logs", "--tail", str(lines), container_of(lab, "server")]).stdout


def last_words(lab: Lab) -> str:
    """What the server wrote to its error stream when it did not start."""
    return lab.docker(["logs", "--tail", "5", container_of(lab, "server")]).stderr


def run_beside(lab: Lab, unit: str, program: str, *words: str) -> None:
    """A Python program of root's own on the host, in a unit that lives until it is ended."""
    command: Sequence[str] = ("systemd-run", "--quiet", "--collect", f"--unit={unit}", "/usr/bin/python3", "-c", program)
    lab.run([*command, *words], check=True)


def end_beside(lab: Lab, unit: str) -> None:
    lab.run(["systemctl", "stop", unit])
    wait_until(lambda: lab.run(["systemctl", "--quiet", "is-active", unit]).returncode != 0, 10)
