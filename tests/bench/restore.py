# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database from its backup: the bare pipeline, ours, and the handbook's way through SQL as text, side by side. It needs no lab."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = 500
SHARE, SHARE_OF_DUMP, MEMORY = 1.1, 0.5, 100
PASSPHRASE = "a passphrase that nobody guesses"
# In a process of its own, for what it takes of memory and time. The largest of what it started counts too.
OURS = """
import json, resource, sys, time
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import Question
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore import Wanted, restore
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
path, archive, folder, state = sys.argv[1:5]
def do(state, **more):
    one = Wanted(state, Question(path, archive=archive, key=Key(sys.stdin_text)), state_dir=folder + "/state", run_dir=folder + "/run", **more)
    return restore(one, False, lambda line: None)
sys.stdin_text = sys.stdin.read()
began = time.monotonic()
if state == "restored":
    plan = do("planned")["plan"]
    found = do("restored", plan=plan["hash"], kept_database=path)
    found = {**plan["seconds"], "swap": found["seconds"]}
else:
    found = do(state, kept_database=folder + "/kept.db", loss_file=folder + "/loss.jsonl")["loss"]["tables"]
used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"memory": used, "found": found, "seconds": time.monotonic() - began}))
"""


@dataclass(frozen=True)
class Run:
    """seconds on the clock, seconds of processors, and MiB of memory where that was measured. Ours are without Python's own start on the clock."""

    wall: float
    cpu: float
    memory: float = 0.0
    note: str = ""


def compare(folder: Path, times: int, megabytes: int = MEGABYTES) -> list[str]:
    """The table, then each promise and whether this machine saw it kept."""
    print(f"a database of {megabytes} MB, and its two backups", flush=True)
    database = build(folder / "source.db", megabytes)
    # With nothing of this machine's: no keyring, no settings, no agent.
    alone = "--homedir /nonexistent --no-keyring --no-random-seed-file --no-autostart --no-options --s2k-count 65011712"
    gpg = f"gpg --batch --no-tty {alone} --pinentry-mode loopback --passphrase-fd 3"
    image, dump = folder / "marketplace-db-20261123T010000Z.db.gz.gpg", folder / "dump.sql.gz.gpg"
    shell(f"gzip -c -3 {database} | {gpg} --compress-algo none --output {image} --symmetric")
    shell(f"sqlite3 {database} .dump | gzip -c -3 | {gpg} --compress-algo none --output {dump} --symmetric")
    new = folder / "new.db"
    check = f"sqlite3 {new} 'PRAGMA integrity_check'"
    ways = {
        "gpg | gunzip, integrity_check": f"{gpg} --decrypt {image} | gunzip > {new} && {check}",
        "the handbook's, SQL as text": f"{gpg} --decrypt {dump} | gunzip > {folder}/new.sql && sqlite3 {new} < {folder}/new.sql && {check}",
    }
    runs: dict[str, list[Run]] = {}
    for _number in range(times):
        for name, command in ways.items():
            for left in (new, folder / "new.sql"):
                left.unlink(missing_ok=True)
            runs.setdefault(name, []).append(shell(command))
        runs.setdefault("ours, check and swap", []).append(ours(folder, image, "restored"))
    os.replace(database, folder / "kept.db")
    with closing(sqlite3.connect(folder / "kept.db")) as opened, opened:
        opened.execute("UPDATE rows SET text='changed' WHERE id % 1000 = 0")
    runs["ours, list of what is lost"] = [ours(folder, image, "compared")]
    lines = [f"{'':<32} seconds   of processors   ratio   MiB"]
    bare = statistics.median(run.wall for run in runs["gpg | gunzip, integrity_check"])
    for name, each in runs.items():
        wall, cpu = statistics.median(run.wall for run in each), statistics.median(run.cpu for run in each)
        lines.append(
            f"{name:<32}{wall:8.1f} {cpu:15.1f} {wall / bare:7.2f} {max(run.memory for run in each):5.0f}  {each[-1].note}"
        )
    mine = runs["ours, check and swap"]
    wall = statistics.median(run.wall for run in mine)
    text = statistics.median(run.wall for run in runs["the handbook's, SQL as text"])
    memory = max(run.memory for each in runs.values() for run in each)
    head = f"\nbench restore: {os.cpu_count()} cores, {megabytes} MB, median of {times}\n"
    return [
        head,
        *lines,
        "",
        verdict(wall / bare, SHARE, "of the bare pipeline's time"),
        verdict(wall / text, SHARE_OF_DUMP, "of the time of the handbook's way"),
        verdict(memory, MEMORY, "MiB of memory"),
    ]


def verdict(found: float, limit: float, what: str) -> str:
    return f"{'PASS' if found <= limit else 'OVER'}  restore: {found:.2f} of {limit:g} {what}"


def build(path: Path, megabytes: int) -> Path:
    """Rows as a shop has them, which pack to less than half."""
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("PRAGMA journal_mode=OFF")
        made.execute("CREATE TABLE owners(id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        made.execute("CREATE TABLE rows(id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owners(id), text TEXT, made INTEGER)")
        made.execute("CREATE INDEX rows_owner ON rows(owner)")
        made.executemany("INSERT INTO owners VALUES(?, ?)", ((number, f"owner {number}") for number in range(1000)))
        rows = (
            (number, number % 1000, f"{chance.randbytes(250).hex()} and some words that every row has " * 2, number)
            for number in range(megabytes * 1_000_000 // 1160)
        )
        made.executemany("INSERT INTO rows VALUES(?, ?, ?, ?)", rows)
    return path


def shell(command: str) -> Run:
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode() + b"\n")
    os.close(writing)
    argv = ["bash", "-euo", "pipefail", "-c", f"exec 3<&{reading}; {command}"]
    os.sync()  # nobody pays for what another has written
    began, before = time.monotonic(), os.times()
    subprocess.run(argv, pass_fds=[reading], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    os.close(reading)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.monotonic() - began, used)


def ours(folder: Path, archive: Path, state: str) -> Run:
    path = folder / "data/marketplace.db"
    if state == "restored":
        for left in (path.parent, folder / "state", folder / "run"):
            shutil.rmtree(left, ignore_errors=True)
        path.parent.mkdir()
        path.write_bytes(b"damaged")
    os.sync()
    began, before = time.monotonic(), os.times()
    ran = subprocess.run(
        [sys.executable, "-c", OURS, str(path), str(archive), str(folder), state],
        input=PASSPHRASE, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ".collections"},
    )  # fmt: skip
    if ran.returncode:
        raise SystemExit(f"{shlex.join(ran.args[:1])}: {ran.stderr}")
    after, said = os.times(), json.loads(ran.stdout)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    start, found = time.monotonic() - began - said["seconds"], said["found"]
    # The promise is about the pages; what foreign keys and invariants take stands beside it.
    seconds = said["seconds"] - found.get("rules", 0)
    return Run(seconds, used, sum(said["memory"]) / 1024, f"start {start:.1f} s, {json.dumps(found)}")
