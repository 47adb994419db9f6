# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker daemon killed, as by the kernel for memory, on a host whose unit does not start it again: the containers live on.

Its proxies and its name service die with it. The socket stays, so the next `docker ps` would start the daemon, which ends them all.
"""

from __future__ import annotations

from lab.faults.outside import answer_on_host, must_show, wallets_answer
from lab.instance import Lab

SUMMARY = "no escrow can be paid: the server reaches no wallet, and on the host nobody listens at 443 and 8080"

# Below /run: gone with the next boot, and the host's own units stay as they are.
DROP_IN = "/run/systemd/system/docker.service.d/stays_down.conf"


def break_(lab: Lab) -> None:
    lab.run(["mkdir", "-p", DROP_IN.rpartition("/")[0]], check=True)
    lab.run(["sh", "-c", f"cat > {DROP_IN}"], check=True, stdin="[Service]\nRestart=no\n")
    lab.run(["systemctl", "daemon-reload"], check=True)
    lab.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", "docker.service"], check=True)
    must_show("a failed docker.service", lambda: lab.run(["systemctl", "is-failed", "--quiet", "docker"]).returncode == 0)
    must_show("containers that live on", lambda: lab.run(["pgrep", "--full", "marketplace serve"]).returncode == 0)
    must_show("nobody at 8080 on the host", lambda: answer_on_host(lab, "http://127.0.0.1:8080/api/health") is None)
    must_show("a server that reaches no wallet", lambda: not wallets_answer(lab), 30)


def heal_(lab: Lab) -> None:
    lab.run(["rm", "-f", DROP_IN], check=True)
    lab.run(["systemctl", "daemon-reload"], check=True)
