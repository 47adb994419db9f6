# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody may read, and the places where a run could show it: known values are searched for."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from drills.observe import COMPOSE_DIR, LEASE_DIR, STATE_DIR
from drills.playbook import INVENTORY
from drills.wallets import PORT, ROLES, RPC
from lab.instance import Lab

STOP = "/run/drill-sampler.stop"

# On the host, on standard input because it is told the login: what each wallet would give to whoever holds the login.
ASK = r"""
import json, subprocess, sys
said, told = {}, json.load(sys.stdin)
for role, where in told["wallets"].items():
    def ask(method, **params):
        body = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
        config = "user = \"%s\"\nurl = \"http://%s:%s/json_rpc\"\ndigest\nsilent\nmax-time = 20\n" % (told["login"], where, told["port"])
        with open("/run/drill-body", "w") as file:
            file.write(body)
        answer = subprocess.run(["curl", "--config", "-", "--data", "@/run/drill-body"], input=config, capture_output=True, text=True)
        return json.loads(answer.stdout).get("result", {})
    for kind in ("spend_key", "view_key", "mnemonic"):
        said["%s of the %s" % (kind, role)] = ask("query_key", key_type=kind).get("key", "")
    balance = ask("get_balance", account_index=0, address_indices=[0], all_accounts=False, strict=False)
    for kind in ("balance", "unlocked_balance"):
        said["%s of the %s" % (kind, role)] = str(balance.get(kind, ""))
print(json.dumps(said))
"""

# On the host: every process's command line and environment, over and over until it is told to stop.
SAMPLE = r"""
import json, os, sys, time
values = {name: value.encode() for name, value in json.load(sys.stdin).items()}
stop, seen, rounds = sys.argv[1], {}, 0
while not os.path.exists(stop):
    rounds += 1
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        for what in ("cmdline", "environ"):
            try:
                with open("/proc/%s/%s" % (pid, what), "rb") as file:
                    content = file.read()
                with open("/proc/%s/comm" % pid) as file:
                    command = file.read().strip()
            except OSError:
                continue
            for name, value in values.items():
                if value in content:
                    seen["%s in the %s of %s" % (name, what, command)] = rounds
    time.sleep(0.005)
print(json.dumps({"rounds": rounds, "seen": sorted(seen)}))
"""

# On the host, below folders: names of the files that hold a value. Wallets, keys and archives themselves are where secrets belong.
FIND = r"""
import json, os, sys
values = {name: value.encode() for name, value in json.load(sys.stdin).items()}
seen = []
for top in sys.argv[1:]:
    for folder, _, names in os.walk(top):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
            except OSError:
                continue
            seen += ["%s in %s" % (secret, os.path.join(folder, name)) for secret, value in values.items() if value in content]
print(json.dumps(seen))
"""


def known(lab: Lab) -> dict[str, str]:
    """Values by what they are: the login's password, passwords of the inventory, keys, seeds and balances of all wallets."""
    line = lab.run(["cat", f"{COMPOSE_DIR}/secrets/wallet_rpc_login"], check=True).stdout.strip()
    login = line.partition("=")[2]
    site: dict[str, Any] = yaml.safe_load((INVENTORY / "group_vars" / "marketplace.yml").read_text(encoding="utf-8"))
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    where = {
        role: lab.docker(["inspect", "--format", shape, lab.container(RPC[role]) or ""], check=True).stdout.strip()
        for role in ROLES
    }
    answer = lab.run(["python3", "-c", ASK], check=True, stdin=json.dumps({"login": login, "wallets": where, "port": PORT}))
    lab.run(["rm", "-f", "/run/drill-body"])
    found = {name: str(value) for name, value in json.loads(answer.stdout).items() if len(str(value)) >= 8}
    assert sum("spend_key" in name for name in found) == len(ROLES), f"the wallets do not tell their keys: {sorted(found)}"
    assert sum("unlocked" in name for name in found) == len(ROLES), f"the wallets hold nothing: {sorted(found)}"
    found["password of the wallets' login"] = login.partition(":")[2]
    found["passphrase of the backups"] = str(site["marketplace_backup_passphrase"])
    return found


@dataclass
class Sampled:
    """What the sampler saw, once it has stopped."""

    rounds: int = 0
    seen: list[str] = field(default_factory=list)


@contextlib.contextmanager
def sampled(lab: Lab, values: dict[str, str]) -> Iterator[Sampled]:
    """Every process of the host, containers' too, is looked at for as long as this lasts."""
    found = Sampled()
    lab.run(["rm", "-f", STOP], check=True)

    def sample() -> None:
        said = json.loads(lab.run(["python3", "-c", SAMPLE, STOP], check=True, stdin=json.dumps(values), timeout=600).stdout)
        found.rounds, found.seen = said["rounds"], said["seen"]

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        lab.run(["touch", STOP], check=True)
        sampler.join(60)
        lab.run(["rm", "-f", STOP], check=True)


def in_text(values: dict[str, str], text: str) -> list[str]:
    """Which of them stand in it."""
    return [name for name, value in values.items() if value in text]


def in_journal(lab: Lab, values: dict[str, str], since: float) -> list[str]:
    """Which of them the host's journal holds from then on."""
    return in_text(values, lab.run(["journalctl", "--no-pager", f"--since=@{int(since)}", "--output=export"]).stdout)


def in_state(lab: Lab, values: dict[str, str]) -> list[str]:
    """Which of them lie in files that a run left on the host."""
    answer = lab.run(["python3", "-c", FIND, STATE_DIR, LEASE_DIR], check=True, stdin=json.dumps(values))
    return list(json.loads(answer.stdout))


def in_folder(values: dict[str, str], folder: Path) -> list[str]:
    """Which of them lie in files on this machine."""
    return [
        f"{name} in {path}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for name, value in values.items()
        if value.encode() in path.read_bytes()
    ]
