# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server and nginx killed, as by an operator's or the kernel's hand: the engine does not start them again."""

from __future__ import annotations

from lab.faults.outside import container_of, must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone: connections to 443 and 8080 end without an answer"


def break_(lab: Lab) -> None:
    lab.docker(["kill", container_of(lab, "server"), container_of(lab, "nginx")], check=True)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))
