# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Networks and ports: what a Compose file wants of them, and what the engine and the kernel say about them. Pure functions."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# Of a range of ports no more are looked at than anybody would publish.
MOST_PORTS = 64
# What the engine hands out to networks that name no subnet, unless its settings say otherwise.
BUILT_IN_POOLS = (
    ("172.17.0.0/16", 16), ("172.18.0.0/16", 16), ("172.19.0.0/16", 16), ("172.20.0.0/14", 16), ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16), ("192.168.0.0/16", 20),
)  # fmt: skip

_LISTENING = "0A"
_NGINX_OPTION = re.compile(r"-[cp]\Z")
_PATH = re.compile(r"/[A-Za-z0-9_./-]{1,200}\Z")


def wanted_networks(service: dict[str, Any], networks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The networks of a service of ``docker compose config``, by their real names."""
    wanted = service.get("networks")
    if isinstance(wanted, list):
        wanted = dict.fromkeys(wanted)
    found: dict[str, dict[str, Any]] = {}
    for key, settings in wanted.items() if isinstance(wanted, dict) else ():
        declared = networks.get(key)
        name = declared.get("name") if isinstance(declared, dict) else None
        settings = settings if isinstance(settings, dict) else {}
        aliases = settings.get("aliases")
        found[str(name or key)] = {
            "aliases": [str(one) for one in aliases] if isinstance(aliases, list) else [],
            "address": settings.get("ipv4_address") if isinstance(settings.get("ipv4_address"), str) else None,
        }
    return found


def wanted_ports(service: dict[str, Any]) -> list[dict[str, Any]]:
    """The host ports a service of ``docker compose config`` publishes; those the engine may choose are left out."""
    found: list[dict[str, Any]] = []
    for one in service.get("ports") or []:
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(one.get("published") or "")) if isinstance(one, dict) else None
        if match is None:
            continue
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        for port in range(first, min(last, first + MOST_PORTS - 1) + 1):
            found.append(
                {"address": str(one.get("host_ip") or ""), "port": port, "protocol": str(one.get("protocol") or "tcp")}
            )
    return found[:MOST_PORTS]


def own_networks(networks: dict[str, Any]) -> dict[str, bool]:
    """The networks the project makes itself, by their real names, and whether the engine must find a subnet for each."""
    found: dict[str, bool] = {}
    for key, declared in networks.items():
        declared = declared if isinstance(declared, dict) else {}
        if declared.get("external"):
            continue
        plan = declared.get("ipam")
        blocks = plan.get("config") if isinstance(plan, dict) else None
        fixed = any(isinstance(one, dict) and one.get("subnet") for one in blocks or [])
        found[str(declared.get("name") or key)] = not fixed and declared.get("driver") in (None, "", "bridge")
    return found


def attachments(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The networks a container of ``docker inspect`` is on, with all names by which others find it there."""
    settings = (container.get("NetworkSettings") or {}).get("Networks") or {}
    name = str(container.get("Name") or "").lstrip("/")
    found: dict[str, dict[str, Any]] = {}
    for network, end in settings.items():
        end = end if isinstance(end, dict) else {}
        names = [str(one) for one in [*(end.get("Aliases") or []), *(end.get("DNSNames") or [])]]
        fixed = end.get("IPAMConfig")
        found[str(network)] = {
            "names": [clean_line(one, 100) for one in dict.fromkeys([name, *names]) if one],
            "address": end.get("IPAddress") or None,
            "fixed_address": fixed.get("IPv4Address") if isinstance(fixed, dict) else None,
        }
    return found


def listeners(table: str, udp: bool = False) -> list[dict[str, Any]]:
    """The sockets of /proc/net/tcp, tcp6, udp or udp6 that wait for others: address, port and inode."""
    found: list[dict[str, Any]] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or not (udp or fields[3] == _LISTENING):
            continue
        address, _colon, port = fields[1].partition(":")
        try:
            found.append({"address": kernel_address(address), "port": int(port, 16), "inode": int(fields[9])})
        except (ValueError, struct.error):
            continue
    return found


def kernel_address(digits: str) -> str:
    """0100007F is 127.0.0.1: the kernel prints words as the machine holds them."""
    raw = bytes.fromhex(digits)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def in_the_way(wanted: dict[str, Any], address: str) -> bool:
    """Whether a socket at an address keeps the engine from listening where a service wants it."""
    anywhere = ("", "0.0.0.0", "::")  # noqa: S104  compared, not bound
    return wanted["address"] in anywhere or address in anywhere or address == wanted["address"]


def routes(table: str) -> list[str]:
    """The destinations of /proc/net/route, without the default one."""
    found: list[str] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        try:
            address, mask = kernel_address(fields[1]), kernel_address(fields[7])
            network = ipaddress.ip_network(f"{address}/{mask}", strict=False)
        except (IndexError, ValueError, struct.error):
            continue
        if network.prefixlen > 0:
            found.append(str(network))
    return found


def free_subnets(pools: Any, taken: Iterable[str], enough: int) -> int:
    """How many subnets the engine has left for new networks, counted no further than needed."""
    used = [block for block in (_block(one) for one in taken) if block is not None]
    count = 0
    for base, size in _pools(pools):
        pool = _block(base)
        if pool is None or not pool.prefixlen <= size <= 32:
            continue
        near = [one for one in used if one.overlaps(pool)]
        for subnet in pool.subnets(new_prefix=size):
            count += not any(one.overlaps(subnet) for one in near)
            if count >= enough:
                return count
    return count


def _pools(told: Any) -> list[tuple[str, int]]:
    pools = [(str(one.get("Base")), one.get("Size")) for one in told or [] if isinstance(one, dict)]
    return [(base, size) for base, size in pools if isinstance(size, int)] or list(BUILT_IN_POOLS)


def _block(text: Any) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(str(text), strict=False)
    except ValueError:
        return None


def nginx_options(title: str) -> list[str]:
    """How an nginx was told where its settings are, from the title of its master process; else it could not be signalled."""
    words = title.split()
    return [
        word
        for option, value in zip(words, words[1:])
        if _NGINX_OPTION.match(option) and _PATH.match(value)
        for word in (option, value)
    ]
