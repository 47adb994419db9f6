# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of networks and ports, and what the engine and the kernel say about them."""

from __future__ import annotations

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _network_parse as parse

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 11984558 1 0 100 0 0 10 0
   1: 0B00007F:8B2D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11965041 1 0 100 0 0 10 0
   2: 020011AC:0016 010011AC:D6A4 01 00000000:00000000 02:000A7AC0 00000000     0        0 12012437 2 0 20 4 31 10 -1
   3: cut off
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1
"""
ROUTE = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010011AC	0003	0	0	0	00000000	0	0	0
eth0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
br-f65ba16dc21e	0010A8C0	00000000	0001	0	0	0	00F0FFFF	0	0	0
"""


def test_the_networks_a_service_wants_by_their_real_names() -> None:
    networks = {"default": {"name": "marketplace_default"}, "money": {"name": "money", "external": True}}
    wanted = {"default": None, "money": {"aliases": ["payouts"], "ipv4_address": "10.0.0.7"}}
    assert parse.wanted_networks({"networks": wanted}, networks) == {
        "marketplace_default": {"aliases": [], "address": None},
        "money": {"aliases": ["payouts"], "address": "10.0.0.7"},
    }
    assert list(parse.wanted_networks({"networks": ["default"]}, networks)) == ["marketplace_default"]
    assert parse.wanted_networks({"network_mode": "host"}, networks) == {}


def test_only_own_networks_without_a_subnet_need_one_of_the_engine() -> None:
    assert parse.own_networks(
        {
            "default": {"name": "marketplace_default", "ipam": {}},
            "fixed": {"name": "fixed", "ipam": {"config": [{"subnet": "10.1.0.0/24"}]}},
            "far": {"name": "far", "driver": "overlay"},
            "theirs": {"name": "theirs", "external": True},
        }
    ) == {"marketplace_default": True, "fixed": False, "far": False}


def test_published_ports_one_by_one() -> None:
    ports = [
        {"target": 8080, "published": "8080", "protocol": "tcp"},
        {"target": 53, "published": "5300-5301", "protocol": "udp", "host_ip": "127.0.0.1"},
        {"target": 9, "protocol": "tcp"},
        "80:80",
    ]
    assert parse.wanted_ports({"ports": ports}) == [
        {"address": "", "port": 8080, "protocol": "tcp"},
        {"address": "127.0.0.1", "port": 5300, "protocol": "udp"},
        {"address": "127.0.0.1", "port": 5301, "protocol": "udp"},
    ]
    assert len(parse.wanted_ports({"ports": [{"published": "1-65535"}]})) == parse.MOST_PORTS


@pytest.mark.parametrize(
    ("end", "names"),
    [
        # Engine 20.10, as Compose made it; as a person connects it by hand; an engine that tells DNS names by themselves.
        ({"Aliases": ["m-server-1", "server", "efc0c0266ebd"]}, ["m-server-1", "server", "efc0c0266ebd"]),
        ({"Aliases": ["efc0c0266ebd"]}, ["m-server-1", "efc0c0266ebd"]),
        ({"Aliases": ["server"], "DNSNames": ["m-server-1", "server", "efc0"]}, ["m-server-1", "server", "efc0"]),
        ({"Aliases": None}, ["m-server-1"]),
    ],
)
def test_the_names_by_which_others_find_a_container(end: dict[str, list[str] | None], names: list[str]) -> None:
    inspected = {"Name": "/m-server-1", "NetworkSettings": {"Networks": {"net": {**end, "IPAddress": "172.19.0.8"}}}}
    assert parse.attachments(inspected) == {"net": {"names": names, "address": "172.19.0.8", "fixed_address": None}}


def test_a_container_on_no_network() -> None:
    assert parse.attachments({"Name": "/x"}) == {}
    assert parse.attachments({"Name": "/x", "NetworkSettings": {"Networks": None}}) == {}


def test_who_listens_by_the_kernels_tables() -> None:
    assert parse.listeners(TCP) == [
        {"address": "0.0.0.0", "port": 8080, "inode": 11984558},
        {"address": "127.0.0.11", "port": 35629, "inode": 11965041},
    ]
    assert parse.listeners(TCP6) == [{"address": "::1", "port": 8080, "inode": 77}]


def test_what_keeps_a_port_from_being_published() -> None:
    anywhere, local = {"address": ""}, {"address": "127.0.0.1"}
    assert parse.in_the_way(anywhere, "127.0.0.1")
    assert parse.in_the_way(local, "0.0.0.0")
    assert parse.in_the_way(local, "::")
    assert not parse.in_the_way(local, "10.0.0.5")


def test_routes_without_the_default_one() -> None:
    assert parse.routes(ROUTE) == ["172.17.0.0/16", "192.168.16.0/20"]


def test_free_subnets_of_the_engines_own_pools() -> None:
    # All that Engine 20.10 of the lab handed out until it had no more; 172.17 is the route of the host's own network.
    first = [f"172.{n}.0.0/16" for n in range(17, 32)]
    second = [f"192.168.{n}.0/20" for n in range(0, 256, 16)]
    assert parse.free_subnets(None, first + second, 8) == 0
    assert parse.free_subnets([], first + second[1:], 8) == 1
    assert parse.free_subnets(None, first + second[:-3] + ["192.168.250.0/24"], 8) == 2
    assert parse.free_subnets(None, [], 8) == 8


def test_free_subnets_of_a_sites_pools() -> None:
    pools = [{"Base": "10.10.0.0/22", "Size": 24}, {"Base": "nonsense", "Size": 24}]
    assert parse.free_subnets(pools, ["10.10.1.0/24", "::/64", "nonsense"], 8) == 3
    assert parse.free_subnets(pools, ["10.0.0.0/8"], 8) == 0


def test_how_an_nginx_was_told_where_its_settings_are() -> None:
    assert parse.nginx_options("nginx: master process nginx -c /etc/marketplace/nginx.conf") == [
        "-c",
        "/etc/marketplace/nginx.conf",
    ]
    assert parse.nginx_options("nginx: master process nginx -g daemon off;") == []
    assert parse.nginx_options("nginx: master process nginx -c $(touch\x00/tmp/x) -p ../x") == []
