# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole stack taken down: no container is left, and no container's log either."""

from __future__ import annotations

from lab.faults.outside import must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone, and its monitoring with it: no container is left"


def break_(lab: Lab) -> None:
    lab.compose(["down"], check=True)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))
