# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what the Monero programs of a healthy lab answer, and what monero_info makes of each state.

    LAB=name PYTHONPATH=.:tests .venv/bin/python -m recorder [STATE ...]

Writes monero_rpc.json (answers word for word, amounts left out) and look_monero_STATE.json into the folder of recorded answers,
breaking the lab for each state and healing it afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.faults.healing import heal
from lab.instance import Lab
from recorder import breaking

PROJECT = Path(__file__).resolve().parents[2]
RECORDED = PROJECT / "tests/unit/plugins/recorded"
LOGIN = "/opt/marketplace/4.5/docker/secrets/wallet_rpc_login"
ROLES = ("buyer", "vendor", "arbiter")

# Runs on the host: asks with the login of the file, and keeps status, headers and body.
ASK = r"""
import json, subprocess, sys
wanted = json.load(sys.stdin)
login = open(wanted["login"]).read().strip().partition("=")[2]
found = {}
for name, url, method, params in wanted["questions"]:
    body = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
    how = [] if name == "no_login" else ["--digest", "--config", "-"]
    command = ["curl", "-s", "-m", "20", *how, "-w", "\n%{http_code}", "-d", body, url + "/json_rpc"]
    said = subprocess.run(command, input=f'user = "{login}"\n' if how else "", capture_output=True, text=True).stdout
    text, _line, status = said.rpartition("\n")
    found.setdefault(name, {})[method] = {"status": int(status), "body": text}
print(json.dumps(found))
"""
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("get_version", {}),
    ("get_height", {}),
    ("get_address", {"account_index": 0, "address_index": [0]}),
    ("is_multisig", {}),
    ("get_balance", {"account_index": 0, "address_indices": [0], "all_accounts": False, "strict": False}),
]
AMOUNTS = ("balance", "unlocked_balance")


def wallets(**more: Any) -> list[dict[str, Any]]:
    return [
        {
            "role": role, "service": f"monero-wallet-rpc-{role}", "login_file": LOGIN, "directory": f"/data/wallets/{role}",
            "wallet": "escrow_1", "open": "always", **more,
        }
        for role in ROLES
    ]  # fmt: skip


def look(lab: Lab, **more: Any) -> dict[str, Any]:
    """What monero_info says, run by Ansible."""
    options = {"daemon": {"service": "monerod"}, "wallets": wallets(), **more}
    asked = subprocess.run(
        ["ansible", lab.name, "-i", "inventories/lab", "-m", "monero_marketplace.incident.monero_info", "-a", json.dumps(options)],
        env={**os.environ, "LAB": lab.name, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "PATH": f"{PROJECT / '.venv/bin'}:{os.environ['PATH']}"},
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(asked.stdout[asked.stdout.index("=> ") + 3 :])["monero"])


def ask(lab: Lab, questions: list[tuple[str, str, str, dict[str, Any]]]) -> dict[str, Any]:
    wanted = json.dumps({"login": LOGIN, "questions": questions})
    said = lab.run(["python3", "-c", ASK], check=True, stdin=wanted).stdout
    return dict(json.loads(said))


def without_amounts(answers: dict[str, Any]) -> dict[str, Any]:
    for said in answers.values():
        for answer in said.values():
            body = json.loads(answer["body"]) if answer["body"].startswith("{") else {}
            result = body.get("result", {})
            for one in [result, *result.get("per_subaddress", [])]:
                one.update({key: 0 for key in AMOUNTS if key in one})
            answer["body"] = json.dumps(body) if body else answer["body"]
    return answers


def keep(name: str, found: dict[str, Any]) -> None:
    path = RECORDED / name
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(path.relative_to(PROJECT))


@contextmanager
def healed(lab: Lab) -> Iterator[None]:
    try:
        yield
    finally:
        breaking.let_go(lab)
        heal(lab)
        breaking.wait_until_ready(lab)


def main() -> None:
    lab = Lab.named()
    breaking.wait_until_ready(lab)
    wanted = sys.argv[1:] or list(breaking.STATES)
    if not sys.argv[1:]:
        record_answers(lab)
    for name in wanted:
        with healed(lab):
            breaking.STATES[name](lab)
            began = time.monotonic()
            found = look(lab, **breaking.OPTIONS.get(name, {}))
            print(
                f"{name}: {time.monotonic() - began:.2f} s, {[one['state'] for one in found['wallets']]} {found['daemon']['state']}"
            )
            keep(f"look_monero_{name}.json", found)


def record_answers(lab: Lab) -> None:
    """What is well, and what a wallet RPC says that has no wallet open."""
    told = look(lab)
    keep("look_monero_healthy.json", told)
    urls = {one["role"]: one["url"] for one in told["wallets"]}
    daemon = told["daemon"]["url"]
    answers = ask(
        lab,
        [
            *(("ready", urls["buyer"], method, params) for method, params in QUESTIONS),
            ("no_login", urls["buyer"], "get_version", {}),
            ("daemon", daemon, "get_info", {}),
            ("daemon", daemon, "get_last_block_header", {}),
        ],
    )
    with healed(lab):
        breaking.close_wallet(lab, urls["buyer"])
        answers.update(ask(lab, [("no_wallet_open", urls["buyer"], method, params) for method, params in QUESTIONS]))
        keep("look_monero_wallet_closed.json", look(lab))
    keep("monero_rpc.json", without_amounts(answers))


if __name__ == "__main__":
    main()
