# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The cut between containers and wallets, as nftables and systemd are told it."""

from __future__ import annotations

import os
import re
from typing import Iterable

TABLE = "marketplace_freeze"
UNIT = "marketplace-payout-freeze.service"
# Beside the service that empties the whole rule set whenever it starts, stops or reads its file again.
DROP_IN = os.path.join("nftables.service.d", "marketplace-payout-freeze.conf")
FAMILIES = ("bridge", "inet")


def rules(ports: Iterable[int]) -> str:
    """One transaction: the old tables stay in force until the new ones are.

    Two containers on one bridge talk below the IP layer, where only the family bridge is sure to look (inet sees them only while
    br_netfilter is on). Its prerouting hook sees all that a container sends, also what is meant for a port published on the host;
    what the host itself sends passes neither that hook nor forward, so an operator on the host still reaches every wallet.
    The family inet is for what comes by another way than a bridge. The kernel may lack reject for bridges, so it is drop.
    """
    wanted = ", ".join(str(port) for port in sorted(set(ports)))
    anew = "".join(f"table {family} {TABLE}\ndelete table {family} {TABLE}\n" for family in FAMILIES)
    return f"""# Written by the module payout_freeze: containers do not reach the wallets while payouts are frozen.
{anew}table bridge {TABLE} {{
    chain prerouting {{
        type filter hook prerouting priority -310; policy accept;
        tcp dport {{ {wanted} }} drop
    }}
}}
table inet {TABLE} {{
    chain forward {{
        type filter hook forward priority -10; policy accept;
        tcp dport {{ {wanted} }} drop
    }}
    chain input {{
        type filter hook input priority -10; policy accept;
        iifname != "lo" tcp dport {{ {wanted} }} drop
    }}
}}
"""


def ports_in(text: str) -> set[int]:
    """The ports that such rules cut."""
    found = {int(port) for ports in re.findall(r"dport \{([^}]*)\}", text) for port in re.findall(r"\b[0-9]{1,5}\b", ports)}
    return {port for port in found if 0 < port < 65536}


def unit(rules_file: str, nft: str) -> str:
    """In force before any container is, whoever starts Docker. It does not stay active, so that each start of Docker loads it anew."""
    return f"""# Written by the module payout_freeze.
[Unit]
Description=Payout freeze: cut containers off from the Monero wallets
DefaultDependencies=no
RequiresMountsFor={rules_file}
After=nftables.service
Before=docker.service docker.socket containerd.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart={nft} -f {rules_file}

[Install]
WantedBy=sysinit.target docker.service docker.socket
"""


def drop_in(rules_file: str, nft: str) -> str:
    """The cut comes back with whatever that service does; it never fails for it."""
    again = f"-{nft} -f {rules_file}"
    return f"""# Written by the module payout_freeze.
[Service]
ExecStartPost={again}
ExecReload={again}
ExecStopPost={again}
"""
