# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a cause is, and what is found when one applies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

OUTAGE_PAGE = "docs/outage.md"
ROLLBACK_PAGE = "docs/rollback.md"
# Playbook 5 is the handbook's answer to what stays down for a reason that no other page knows.
STAYS_DOWN_PAGE = "docs/data_corruption.md"
# Where data may be at stake, so that whoever knows the database is called too.
ABOUT_DATA = frozenset(["read-only-data", "deleted-open-file"])


@dataclass
class Finding:
    """One cause at work, with what follows from it: a step, a wait, a question to a person, or an escalation."""

    service: str | None
    sentence: str
    evidence: list[str] = field(default_factory=list)
    do: str | None = None
    reason: str = ""
    # What the step has to know beside its services.
    details: dict[str, Any] = field(default_factory=dict)
    confirm: str | None = None
    wait_for: str | None = None
    escalate: str | None = None
    log: list[str] = field(default_factory=list)
    exit_code: int | None = None
    # A symptom may be the consequence of something deeper; a service that is down is down in its own right.
    symptom: bool = False
    consequence_of: str | None = None
    # Of the host: the services whose trouble it explains, which are left alone as long as it lasts.
    harms: frozenset[str] = frozenset()
    blocked: bool = False
    # Left as it is because payouts are frozen: a person ends that, no page of ours.
    frozen: bool = False
    # What may happen again although it was mended.
    risk: str = ""
    # The table sets it.
    cause: str = ""

    @property
    def is_hopeless(self) -> bool:
        return self.blocked or self.escalate is not None or (self.confirm is not None and self.do is None)


@dataclass(frozen=True)
class Cause:
    """An entry of the table: how it is found, and in words for people what it is known from and what is done."""

    name: str
    # Of the host: find(view) gives any number of findings. Of a service: find(view, service) gives one or None.
    find: Callable[..., Any]
    means: str
    evidence: str
    answer: str
    drill: str
    page: str = OUTAGE_PAGE
