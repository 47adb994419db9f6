# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host cannot be read, in one sentence; what status shows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._first_contact import first_contact
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_status import status

# What ansible-core 2.21 returned for each of them.
REPLIES = {
    "refused": (
        "Task failed: Failed to connect to the host via ssh: ssh: connect to host 192.0.2.7 port 22: Connection refused",
        "takes no ssh",
    ),
    "silent": (
        "Failed to connect to the host via ssh: ssh: connect to host 192.0.2.7 port 22: Connection timed out",
        "does not answer",
    ),
    "no route": (
        "Failed to connect to the host via ssh: ssh: connect to host 192.0.2.7 port 22: No route to host",
        "does not answer",
    ),
    "no name": (
        "Failed to connect to the host via ssh: ssh: Could not resolve hostname market-9: Name or service not known",
        "does not resolve",
    ),
    "key": ("Failed to connect to the host via ssh: deploy@192.0.2.7: Permission denied (publickey).", "refused the login"),
    "host key": ("Failed to connect to the host via ssh: Host key verification failed.", "host key"),
    "sudo password": ("Task failed: Missing sudo password", "wants a password"),
    "sudoers": ("deploy is not in the sudoers file.", "may not use sudo"),
    "no python": ("/bin/sh: 1: /usr/bin/python3: not found", "no Python 3"),
}


@pytest.mark.parametrize("said, meaning", REPLIES.values(), ids=REPLIES)
def test_replies(said, meaning):
    found = first_contact({"unreachable": True, "msg": said}, "192.0.2.7", "market-1")
    assert meaning in found["sentence"]
    assert "market-1 (192.0.2.7)" in found["sentence"]
    assert found["sentence"].endswith(".")
    assert found["next"]
    assert first_contact({"msg": said}, "192.0.2.7")["sentence"].count("192.0.2.7") == 1


def test_the_address_is_the_one_that_ssh_tried():
    found = first_contact({"msg": REPLIES["refused"][0]}, "market-1", "market-1")
    assert (found["sentence"].count("market-1 (192.0.2.7)"), "ssh 192.0.2.7" in found["next"]) == (1, True)


def test_what_a_module_of_ours_said_stays_as_it_is():
    said = "No permission for /run/marketplace_incident: this needs its owner (on a marketplace host root: set ansible_become in the inventory)."
    assert first_contact({"failed": True, "msg": said}, "192.0.2.7", "market-1")["sentence"] == said


@pytest.mark.parametrize("odd", [None, {}, {"msg": None}, "text", 7, []])
def test_odd_results_do_not_raise(odd):
    found = first_contact(odd, "192.0.2.7", "market-1")
    assert found["sentence"]
    assert found["next"] == "ansible market-1 -m ansible.builtin.ping -vvv"


LEASE = {"responder": "alice", "controller": "desk", "playbook": "outage", "since": "S", "until": "U", "in_force": True}
INCIDENT: dict[str, Any] = {
    "id": "INC-20261123-0213", "status": "open", "severity": "P1", "intact": True, "interrupted": None,
    "last": {"event": "intent", "time": "T", "text": "start server"},
}  # fmt: skip


def test_at_a_glance():
    desk = {"incidents": [{**INCIDENT, "id": "INC-20261122-0100", "status": "resolved"}, INCIDENT], "open_incident": INCIDENT}
    hold = {"name": "evidence", "by": "carol", "since": "S", "playbooks": ["outage"], "reason": "seal"}
    assert status(desk, {"lease": LEASE, "holds": [hold], "freezes": []}, "market-1").split("\n") == [
        "STATUS market-1 · INCIDENT OPEN",
        "open   INC-20261123-0213 · open · P1 · intent T: start server",
        "lease  alice@desk with playbook outage since S, until U",
        "holds  evidence by carol since S (outage): seal",
        "payout not frozen",
        "before INC-20261122-0100 · resolved · P1 · intent T: start server",
    ]


def test_quiet_and_unknown_are_told_apart():
    quiet = status({"incidents": [], "open_incident": None}, {"lease": None, "holds": [], "freezes": []}, "market-1")
    assert quiet.split("\n")[1:] == ["open   no incident", "lease  free", "holds  none", "payout not frozen"]
    unknown = status({"msg": "unreachable"}, {"unreachable": True}, "market-1")
    assert unknown.count("unknown") == 5
    assert "free (the last one" in status({}, {"lease": {**LEASE, "in_force": False}, "holds": []}, "m")


def test_what_waits_for_the_desk_and_what_came_late_is_said():
    late = {**INCIDENT, "last": {**INCIDENT["last"], "delivered": "D"}}
    spool = {"count": 2, "problems": ["/x/timeline.jsonl: entry 3 was edited; what follows stays there"]}
    lines = status({"incidents": [late], "open_incident": late}, {"lease": None, "holds": [], "spool": spool}, "m").split("\n")
    assert "intent T (delivered D): start server" in lines[1]
    assert lines[-2:] == [
        "spool  2 entries wait on the host for the desk; the next run delivers them",
        "spool  /x/timeline.jsonl: entry 3 was edited; what follows stays there",
    ]


def test_a_broken_timeline_is_loud():
    broken = {
        **INCIDENT,
        "intact": False,
        "broken_at": {"entry": 3, "why": "entry 3 was edited"},
        "interrupted": {"run_id": "x"},
    }
    text = status({"incidents": [broken], "open_incident": broken}, {}, "market-1")
    assert "TIMELINE BROKEN at entry 3: entry 3 was edited" in text
    assert "INTERRUPTED" in text
