# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The escrow's wallets and their freeze, seen by another route than the playbook's."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from drills.observe import STATE_DIR, look
from lab import escrow
from lab.errors import LabError
from lab.faults.outside import must_show
from lab.faults.wallets import server_says
from lab.instance import Lab
from lab.shell import wait_until

ROLES = ("buyer", "vendor", "arbiter")
RPC = {role: f"monero-wallet-rpc-{role}" for role in ROLES}
WALLETS = "/data/wallets"
PORT = 18082
# What the site's own test may have cost meanwhile, in piconero: it pays from the escrow to itself after each repair.
FEES = 3 * 10**10

# Runs on the host. Which wallet is open is told by the key file that the wallet's own process holds; whether the server reaches the
# wallets is asked from within its own network.
LOOK = r"""
import glob, hashlib, json, os, subprocess, sys
wallets, state, port, roles = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
def digest(path):
    with open(path, "rb") as content:
        return hashlib.sha256(content.read()).hexdigest()
out = {"files": {}, "open": {}, "freezes": {}, "policies": {}, "reached": {}}
for path in glob.glob(wallets + "/*/*"):
    if os.path.isfile(path):
        out["files"][path] = digest(path)
for path in glob.glob(state + "/freezes/*.json"):
    with open(path) as content:
        out["freezes"][os.path.basename(path)] = content.read()
label = "com.docker.compose.service"
ids = subprocess.run(["docker", "ps", "-aq", "--filter", "label=" + label], capture_output=True, text=True, check=True, timeout=20)
found = json.loads(subprocess.run(["docker", "inspect", *ids.stdout.split()], capture_output=True, text=True, check=True).stdout)
service = {one["Config"]["Labels"][label]: one for one in found}
address = {}
for name, one in service.items():
    out["policies"][name] = one["HostConfig"]["RestartPolicy"]["Name"]
    networks = one["NetworkSettings"]["Networks"].values()
    address[name] = next((each["IPAddress"] for each in networks if each["IPAddress"]), "")
def below(pid):
    yield pid
    with open("/proc/%s/task/%s/children" % (pid, pid)) as children:
        for child in children.read().split():
            yield from below(child)
def held(pid):
    for one in below(str(pid)):
        for number in os.listdir("/proc/%s/fd" % one):
            try:
                target = os.readlink("/proc/%s/fd/%s" % (one, number))
            except OSError:
                continue
            if target.endswith(".keys"):
                return os.path.basename(target)[:-5]
    return ""
for role in roles:
    one = service.get("monero-wallet-rpc-" + role)
    pid = one["State"]["Pid"] if one else 0
    out["open"][role] = held(pid) if pid else ""
server = service["server"]["State"]["Pid"]
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5)"
for role in roles if server else ():
    where = address.get("monero-wallet-rpc-" + role)
    if where:
        knock = ["nsenter", "-t", str(server), "-n", "python3", "-c", KNOCK, where, port]
        out["reached"][role] = subprocess.run(knock, capture_output=True).returncode == 0
print(json.dumps(out))
"""


@dataclass(frozen=True)
class Wallets:
    """What lies on the disk, what is open, and what is kept from whom."""

    files: dict[str, str]
    open: dict[str, str]
    freezes: dict[str, str]
    policies: dict[str, str]
    # By role, from the server; empty where the server does not run.
    reached: dict[str, bool]

    @property
    def keys(self) -> dict[str, str]:
        """Each wallet's share."""
        return {path: digest for path, digest in self.files.items() if path.endswith(".keys")}

    def caches(self, role: str) -> dict[str, str]:
        """What a wallet knows of its transactions and its rounds."""
        folder = f"{WALLETS}/{role}/"
        return {
            path: digest
            for path, digest in self.files.items()
            if path.startswith(folder) and not path.endswith((".keys", ".address.txt"))
        }


def look_at_wallets(lab: Lab) -> Wallets:
    """Take a look at them on the host."""
    answer = lab.run(["python3", "-c", LOOK, WALLETS, STATE_DIR, str(PORT), *ROLES])
    assert answer.returncode == 0, f"the wallets could not be looked at: {answer.stderr}"
    return Wallets(**json.loads(answer.stdout))


def balances(lab: Lab, seconds: float = 60) -> dict[str, int]:
    """What each of the three wallets says it holds, in piconero, once the application is done with what it has open."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return {role: int(one["balance"]) for role, one in escrow.funds(lab).items()}
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def have_exchanged(lab: Lab, seconds: float = 60) -> None:
    """All three can sign: what an earlier drill paid may ask for an exchange, which the application makes only when it pays again."""

    def made() -> bool:
        try:
            escrow.exchange(lab)
            return not any(one["import_needed"] for one in escrow.funds(lab).values())
        except LabError:
            return False  # the application has other wallets open just now

    assert wait_until(made, seconds, every=1), f"the wallets of {lab.name} cannot sign: {escrow.funds(lab)}"


def shares_are_all_there(before: Wallets, after: Wallets) -> None:
    """Each wallet still has the keys that it had: there are no others."""
    lost = {path: digest for path, digest in before.keys.items() if after.keys.get(path) != digest}
    assert not lost, f"keys are lost or are another's: {sorted(lost)}"


def payouts_are_frozen(seen: Wallets) -> None:
    """The freeze stands, and the server does not get through to a wallet."""
    assert seen.freezes, "payouts are not frozen"
    assert not any(seen.reached.values()), f"payouts are frozen, but the server reaches {seen.reached}"
    for text in seen.freezes.values():
        freeze: dict[str, Any] = json.loads(text)
        assert freeze["reason"] and freeze["since"], text
        for service in freeze["services"]:
            assert seen.policies.get(service) in (None, "no"), f"{service} would be started again: {seen.policies[service]}"


def payouts_run(seen: Wallets) -> None:
    """No freeze, and the server reaches all of its wallets."""
    assert not seen.freezes, f"payouts are still frozen: {seen.freezes}"
    assert seen.reached and all(seen.reached.values()), f"the server does not reach its wallets: {seen.reached}"


def escrow_pays(lab: Lab, before: dict[str, int]) -> None:
    """The funds are those of before, and two wallets can sign a payment that the chain confirms."""
    now = balances(lab)
    assert len(set(now.values())) == 1, f"the wallets do not agree on their funds: {now}"
    assert all(before[role] - FEES < now[role] <= before[role] for role in before), f"the funds were {before}, now {now}"
    txid = escrow.pay(lab)
    assert len(txid) == 64, txid


def fall_silent(lab: Lab, role: str) -> None:
    """Its RPC lives and hears nobody any more, as one that hangs: nothing reaches its port, its own health check neither."""
    pid = lab.docker(["inspect", "--format", "{{.State.Pid}}", lab.container(RPC[role]) or ""], check=True).stdout.strip()
    rules = f"""table inet drill {{
    chain input {{
        type filter hook input priority 0
        tcp dport {PORT} drop
        tcp sport {PORT} drop
    }}
}}
"""
    lab.run(["nsenter", "-t", pid, "-n", "nft", "-f", "-"], check=True, stdin=rules)
    must_show("a server that gets no answer", lambda: server_says(lab, "not_responding", role))
    # Healing restarts what the engine calls sick, and so takes the rules away.
    must_show("an unhealthy container", lambda: look(lab).containers[RPC[role]].health == "unhealthy", 60)
