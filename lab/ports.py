# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports on loopback for each lab: a block of ten that nobody else has."""

import json
import socket

from lab.errors import LabError
from lab.host_container import INSIDE_PORTS
from lab.places import labs

# Below the range from which the kernel takes ports for outgoing connections.
FIRST, BLOCK, BLOCKS = 20_100, 10, 100


def free_ports() -> dict[str, int]:
    """The first block in which every port is free, here and in other labs' plans."""
    planned = {port for state in labs().glob("*/state.json") for port in json.loads(state.read_text())["ports"].values()}
    for number in range(BLOCKS):
        first = FIRST + number * BLOCK
        ports = {name: first + offset for offset, name in enumerate(INSIDE_PORTS)}
        if planned.isdisjoint(ports.values()) and all(map(_is_free, ports.values())):
            return ports
    raise LabError(
        f"No {len(INSIDE_PORTS)} neighbouring ports are free between {FIRST} and {FIRST + BLOCK * BLOCKS}: "
        "take a lab down, `script/lab status` lists them."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
