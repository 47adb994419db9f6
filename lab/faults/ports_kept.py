# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker stopped while it was starting nginx, and started again: it keeps nginx's ports for a container that does not run.

So it goes when a host is rebooted at the wrong moment. The daemon comes back with the end of nginx's network that it had noted, opens
its ports for it, finds that no container is there, forgets that end and not its ports: no start of nginx works before its own next one.
"""

from __future__ import annotations

from lab.faults.outside import container_of, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site resets every connection, and nginx cannot be started: port is already allocated"

# A runtime that takes its time: nginx has its network, its proxies listen, and no container is there yet.
RUNC = "/usr/sbin/runc"
SLOW = f"""#!/bin/sh
case " $* " in *" create "*) exec sleep 600 ;; esac
exec {RUNC}.real "$@"
"""
MAKE_SLOW = f"mv {RUNC} {RUNC}.real && cat > {RUNC} && chmod 755 {RUNC}"
MAKE_QUICK = f"[ ! -e {RUNC}.real ] || mv {RUNC}.real {RUNC}"
PROXY = "ps -C docker-proxy -o args= | grep --quiet -- '-host-port 443 '"
ONLY_NGINX = "[ $(ps -C containerd-shim -o pid= | wc -l) -le 1 ]"


def break_(lab: Lab) -> None:
    nginx = container_of(lab, "nginx")
    lab.docker(["kill", nginx], check=True)
    lab.run(["sh", "-c", MAKE_SLOW], check=True, stdin=SLOW)
    lab.run(["sh", "-c", f"docker start {nginx} >/dev/null 2>&1 &"], check=True)
    must_show("a proxy for nginx", lambda: lab.run(["sh", "-c", PROXY]).returncode == 0)
    lab.run(["systemctl", "stop", "--no-block", "docker.socket", "docker.service"], check=True)
    must_show("the others stopped", lambda: lab.run(["sh", "-c", ONLY_NGINX]).returncode == 0, 60)
    # It would wait a minute for the one that is being started, and then give up as well.
    lab.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", "docker.service"], check=True)
    heal_(lab)
    lab.run(["systemctl", "reset-failed", "docker.service"])
    lab.run(["systemctl", "start", "docker.socket", "docker.service"], check=True)
    must_show("a server that is back", lambda: lab.get("health", "/api/health", 2)[0] == 200, 60)
    must_show("no answer from the site", lambda: site_status(lab) is None)
    must_show("a port that is allocated", lambda: "already allocated" in lab.docker(["start", nginx]).stderr)


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", MAKE_QUICK], check=True)
    lab.run(["pkill", "--exact", "--full", "sleep 600"])
