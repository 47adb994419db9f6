# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack taken down, and no subnet left for its network: test runs left theirs behind until none was free."""

from __future__ import annotations

from lab.faults.outside import NETWORK, must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone, and `docker compose up -d` cannot make its network: no address pool is left"

LEFTOVER = "ci-leftover"
MAKE = f'n=1; while [ $n -le 64 ] && docker network create "{LEFTOVER}-$n" >/dev/null 2>&1; do n=$((n + 1)); done'
REMOVE = f"docker network ls --quiet --filter name=^{LEFTOVER}- | xargs --no-run-if-empty docker network rm"


def break_(lab: Lab) -> None:
    lab.compose(["down"], check=True)
    lab.run(["sh", "-c", MAKE], check=True)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))
    must_show("no room for another network", lambda: "address pool" in lab.docker(["network", "create", NETWORK]).stderr)


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", REMOVE])
