# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in who uses the database: a lock that is not given back, a reader that was forgotten, a pool that has run out."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import human_seconds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_causes_files import OUTAGE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_view import (
    EXHAUSTED_SECONDS,
    HELD_SECONDS,
    LOCKED,
    READ_LOCKS,
    WRITE_LOCKS,
    DatabaseView,
    Holder,
    holder_words,
)

# What this role mends of the database service itself; the rest of what can ail a container is playbooks/outage.yml's.
MENDED_HERE = ("start", "restart")


def lock_held(view: DatabaseView) -> Finding | None:
    """One process has had the write lock in every look: a commit takes milliseconds."""
    complains = bool(view.complains(LOCKED)) or view.state == "locked"
    # Server and database service lock all the time; they count only where somebody is locked out.
    holding = [one for one in view.holders if view.holds(one, WRITE_LOCKS) and (complains or not view.is_ours(one))]
    stuck = sorted((one for one in holding if view.keeps_holding(one, WRITE_LOCKS)), key=lambda one: str(one.get("since")))
    if stuck:
        found = _about(view, stuck[0], f"{holder_words(stuck[0])} holds a write lock")
        _end(view, stuck[0], found, "its open transaction is rolled back, so what it wrote and did not commit is lost")
        return found
    if (holding or complains) and not view.site.patience_over:
        who = holder_words(holding[0]) if holding else "whoever has it"
        return Finding(
            None, f"the database is locked by {who}", wait_for="the lock to be given back", details={"on": "holders"}
        )
    if view.state == "locked":
        return Finding(
            None,
            "the database is locked by a process that is not seen",
            view.seen()[:1],
            escalate=f"`fuser -v {view.site.path}*` and `lsof {view.site.path}` on the host, and on every host that mounts it, name who has it.",
        )
    return None


def reader_forgotten(view: DatabaseView) -> Finding | None:
    """A transaction that only reads and is never ended: nobody is locked out, but the write-ahead log grows without end."""
    size = view.wal_bytes
    if size is None or size <= view.site.wal_limit:
        return None
    reading = [
        one
        for one in view.holders
        if view.holds(one, READ_LOCKS) and not view.holds(one, WRITE_LOCKS) and not view.is_ours(one)
    ]
    stuck = sorted((one for one in reading if view.keeps_holding(one, READ_LOCKS)), key=lambda one: str(one.get("since")))
    grown = f"the write-ahead log has grown to {human_bytes(size)}"
    if stuck:
        found = _about(view, stuck[0], f"{holder_words(stuck[0])} has not ended its reading transaction, so {grown}")
        _end(view, stuck[0], found, "it only reads, so nothing is lost; then the log is written back")
        return found
    if reading and not view.site.patience_over:
        return Finding(None, grown, wait_for="readers to end", details={"on": "holders"})
    if any(one.startswith("end_lock_holder:") for one in view.site.tried) and not view.site.patience_over:
        return Finding(None, grown, wait_for="the log to be written back", details={"on": "holders"})
    return None


def _about(view: DatabaseView, holder: Holder, sentence: str) -> Finding:
    service = str(holder["service"]) if view.is_main(holder) else None
    return Finding(service, sentence, view.symptoms()[:2], details={"holder": dict(holder)})


def _end(view: DatabaseView, holder: Holder, found: Finding, price: str) -> None:
    """By its pid and the time it was started; what a container lives by is restarted as a service instead."""
    if found.service == view.site.server_service:
        restart_server(view, found, f"its own transaction stays open; a restart ends it, and {price}")
        return
    if found.service is not None:
        found.confirm = f"restart:{found.service}"
        found.reason = f"{found.service} lives by that process, so it is restarted: {price}"
        if view.tried("restart", found.service):
            found.confirm, found.escalate = None, f"{found.service} was restarted in this run and holds the lock again."
        elif view.is_frozen(found.service):
            found.confirm, found.escalate = (
                None,
                f"{found.service} is frozen ({view.is_frozen(found.service)}) and is left as it is.",
            )
        elif view.allows(found.confirm):
            found.do = "restart"
        return
    pid = str(holder.get("pid"))
    if view.tried("end_lock_holder", pid):
        found.escalate = (
            f"pid {pid} was asked to end in this run and still holds it; it is not killed for you: `cat /proc/{pid}/wchan`, then look "
            "who started it."
        )
        return
    found.confirm = f"end_lock_holder:{pid}"
    found.reason = f"{holder_words(holder)} is asked to end (SIGTERM): {price}"
    found.do = "end_lock_holder" if view.allows(found.confirm) else None


def pool_exhausted(view: DatabaseView) -> Finding | None:
    """Every connection is taken and none comes back."""
    if not view.is_exhausted():
        return None
    name = view.site.server_service
    found = Finding(name, f"every connection of {name} to the database is taken ({view.pool_words()})", view.symptoms()[:1])
    lasts = view.is_exhausted(earlier=True) and view.seconds_watched >= EXHAUSTED_SECONDS
    if not lasts and not view.site.patience_over:
        found.wait_for, found.details = "a connection to come back", {"on": "services"}
        return found
    restart_server(
        view, found, f"nobody gave a connection back for {human_seconds(max(view.seconds_watched, EXHAUSTED_SECONDS))}"
    )
    return found


def restart_server(view: DatabaseView, found: Finding, reason: str) -> None:
    """By itself only where it is sure that no signing round is open; never while it is frozen."""
    name = view.site.server_service
    if view.tried("restart", name):
        found.escalate = (
            f"{name} was restarted in this run and it is as before: a transaction or a connection is lost in the code, or the load is too "
            "high; another restart mends nothing. `docker logs` of it says which request keeps them."
        )
        return
    if view.is_frozen(name):
        found.escalate = f"{name} is frozen ({view.is_frozen(name)}), so it is not restarted."
        return
    state, words = view.signing()
    found.reason = f"{reason}; {words}"
    found.details = {**found.details, "touches_signing": state != "none"}
    if state == "none":
        found.do = "restart"
        return
    found.confirm = f"restart:{name}"
    found.do = "restart" if view.allows(found.confirm) else None


def service_sick(view: DatabaseView) -> Finding | None:
    """The database service as role docker_health sees it."""
    name = view.site.database_service
    sick = next((one for one in view.health["causes"] if name and one["service"] == name), None)
    if sick is None:
        return None
    found = Finding(name, sick["sentence"], list(sick["evidence"]), log=list((view.services.get(name) or {}).get("log") or []))
    step = next((one for one in view.health["steps"] if name in one["services"]), None)
    waiting = next((one["for"] for one in view.health["waiting"] if one["service"] == name), None)
    told = next((one for one in view.health["escalate"] if one["service"] == name), None)
    if view.is_frozen(name):
        found.escalate = f"{name} is frozen ({view.is_frozen(name)}) and is left as it is."
    elif step is not None and step["do"] in MENDED_HERE:
        found.do, found.reason = step["do"], "only it is sick"
    elif waiting is not None:
        found.wait_for, found.details = waiting, {"on": "services"}
    else:
        found.escalate = told["sentence"] if told else f"{name} is the outage playbook's matter."
        found.details = {"next": OUTAGE}
    return found


def server_sick(view: DatabaseView) -> Finding | None:
    """The server is down or silent, and nothing about the database explains it so far."""
    name = view.site.server_service
    sick = next((one for one in view.health["causes"] if one["service"] == name), None)
    said = [f'it says "{one}"' for one in view.complaints()[:2]]
    if sick is None and view.serves is not False:
        return None
    found = Finding(
        name, sick["sentence"] if sick else f"{name} does not serve", said or list((sick or {}).get("evidence") or [])
    )
    found.symptom = True
    found.log = list((view.services.get(name) or {}).get("log") or [])
    waiting = next((one["for"] for one in view.health["waiting"] if one["service"] == name), None)
    if waiting is not None and not view.site.patience_over:
        found.wait_for, found.details = waiting, {"on": "services"}
    elif view.seconds_watched < HELD_SECONDS and not view.site.patience_over:
        found.wait_for, found.details = "a second look", {"on": "services"}
    else:
        found.escalate = "Nothing about the database explains it: its files, its locks, its pool and its service are well as far as they were seen."
        found.details = {"next": OUTAGE}
    return found
