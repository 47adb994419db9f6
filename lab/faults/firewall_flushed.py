# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own firewall loaded again: a ruleset as in every handbook, which begins by flushing everything, Docker's rules too.

Until then customers came in through Docker's own rules. Now they meet the host's, which let in SSH only; on the host itself all is well.
"""

from __future__ import annotations

from lab.faults.outside import answer_on_host, must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone for everybody outside: no answer at 443 and 8080, though every container is healthy"

RULES = """
flush ruleset
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iif lo accept
    ip protocol icmp accept
    iifname "br-*" accept
    tcp dport 22 accept
  }
}
"""
# A healthy engine has its rules; a host that has lost them gets them back only from a daemon that starts.
HEAL = """
nft delete table inet filter 2>/dev/null
iptables --table nat --list-rules PREROUTING | grep --quiet DOCKER ||
  { systemctl reset-failed docker.service docker.socket; systemctl restart docker; }
"""


def break_(lab: Lab) -> None:
    lab.run(["nft", "--file", "-"], check=True, stdin=RULES)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))
    must_show("an answer on the host itself", lambda: answer_on_host(lab, "http://127.0.0.1:8080/api/health") == 200)


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", HEAL], check=True)
