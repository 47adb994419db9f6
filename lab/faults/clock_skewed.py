# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's clock is wrong, as Ansible's modules see it, and the server was killed.

Containers share the machine's clock, which nobody sets here: a library between Python and the kernel tells another time.
"""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server was killed, and the host's clock is five minutes ahead"

AHEAD_SECONDS = 300
INTERPRETER = "/usr/bin/python3"
WRAPPER = f"""#!/bin/sh
exec faketime -f +{AHEAD_SECONDS} "$(readlink -f {INTERPRETER}.real)" "$@"
"""


def break_(lab: Lab) -> None:
    lab.docker(["kill", container_of(lab, "server")], check=True)
    wrap = f"[ -e {INTERPRETER}.real ] || mv {INTERPRETER} {INTERPRETER}.real; cat > {INTERPRETER}; chmod 755 {INTERPRETER}"
    lab.run(["sh", "-c", wrap], check=True, stdin=WRAPPER)
    must_show("a clock that is ahead", lambda: _skew(lab) > AHEAD_SECONDS - 30)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", f"[ ! -e {INTERPRETER}.real ] || mv {INTERPRETER}.real {INTERPRETER}"], check=True)


def _skew(lab: Lab) -> float:
    """Seconds by which Python on the host is ahead of the host's own clock."""
    script = f"{INTERPRETER} -c 'import time; print(time.time())'; date +%s"
    told = lab.run(["sh", "-c", script], check=True).stdout.split()
    return float(told[0]) - float(told[1])
