# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a real funded 2-of-3 escrow on the lab's private chain.

Runs inside the host, where the wallets can be reached, on standard input of its Python: standard library only.
Reads one JSON object with the addresses as its argument, prints the escrow's address and balance as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

ROLES = ("buyer", "vendor", "arbiter")
# A ring takes 16 outputs and a mined one is spendable after 60 blocks: at height 71 a transfer still fails.
BLOCKS = 100


class Rpc:
    """One JSON-RPC endpoint. By curl, because the wallet ties its digest nonce to one connection and urllib opens two."""

    def __init__(self, url: str, login: str = "") -> None:
        self.url = url
        self.login = ["--digest", "--user", login] if login else []

    def __call__(self, method: str, **params: Any) -> Any:
        """Call a method; an error of the RPC's is an exception with its words."""
        body = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "120", *self.login, "--data", "@-", self.url]
        answer = subprocess.run(command, input=body, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise ConnectionError(f"{self.url} {method}: {answer.stderr.strip()}")
        reply = json.loads(answer.stdout)
        if "error" in reply:
            raise RuntimeError(f"{self.url} {method}: {reply['error']}")
        return reply["result"]


def wait_for(rpc: Rpc, seconds: float = 60) -> None:
    """Until the RPC answers at all."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            rpc("get_version")
            return
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def make_escrow(daemon: Rpc, wallets: list[Rpc], name: str) -> dict[str, Any]:
    """Create the three wallets, join them, fund their address, exchange what a first payout needs, store."""
    with ThreadPoolExecutor(len(wallets)) as pool:

        def each(step: Callable[[int], Any]) -> list[Any]:
            return list(pool.map(step, range(len(wallets))))

        def others(values: list[Any], own: int) -> list[Any]:
            return [value for number, value in enumerate(values) if number != own]

        def exchange(said: list[Any], own: int) -> Any:
            return wallets[own]("exchange_multisig_keys", multisig_info=others(said, own), password="")

        def take_in(infos: list[Any], own: int) -> Any:
            return wallets[own]("import_multisig_info", info=others(infos, own))

        each(lambda n: wait_for(wallets[n]))
        each(lambda n: wallets[n]("create_wallet", filename=name, password="", language="English"))
        said = each(lambda n: wallets[n]("prepare_multisig", enable_multisig_experimental=True)["multisig_info"])
        made = each(lambda n: wallets[n]("make_multisig", multisig_info=others(said, n), threshold=2, password=""))
        # Two further rounds; only the last one's address is the escrow's.
        for _ in range(2):
            said = [answer["multisig_info"] for answer in made]
            made = each(partial(exchange, said))
        addresses = {answer["address"] for answer in made}
        if len(addresses) != 1:
            raise RuntimeError(f"the three wallets do not share one address: {addresses}")
        address = addresses.pop()
        daemon("generateblocks", amount_of_blocks=BLOCKS, wallet_address=address)
        each(lambda n: wallets[n]("refresh", start_height=0))
        for _ in range(3):
            infos = each(lambda n: wallets[n]("export_multisig_info")["info"])
            each(partial(take_in, infos))
            balances = each(lambda n: wallets[n]("get_balance", account_index=0))
            if not any(balance["multisig_import_needed"] for balance in balances):
                break
        else:
            raise RuntimeError("the wallets still ask for an exchange after three of them")
        each(lambda n: wallets[n]("store"))
    return {"address": address, "balance": balances[0]["balance"], "unlocked": balances[0]["unlocked_balance"]}


def main() -> None:
    """Make the escrow of the addresses given."""
    wanted = json.loads(sys.argv[1])
    wallets = [Rpc(f"http://{wanted['wallets'][role]}:18082/json_rpc", wanted["login"]) for role in ROLES]
    daemon = Rpc(f"http://{wanted['daemon']}:18081/json_rpc")
    print(json.dumps(make_escrow(daemon, wallets, wanted["name"])))


if __name__ == "__main__":
    main()
