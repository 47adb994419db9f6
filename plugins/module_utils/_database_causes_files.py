# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in the database's files: gone, damaged, closed. Nothing here is mended by a restart, and some of it is made worse."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_view import DatabaseView, holder_words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import words

CORRUPTION = "ansible-playbook playbooks/data_corruption.yml"
OUTAGE = "ansible-playbook playbooks/outage.yml"
DAMAGED = {
    "not_a_database": "is no SQLite database any more",
    "stale_wal": "lies beside a write-ahead log of another database",
    "wal_damage": "has a damaged write-ahead log: what was committed after the damage is not read",
    "page_damage": "has damaged pages",
    "btree_damage": "has tables or indexes that are not whole",
    "foreign_key_damage": "has rows that refer to rows which are not there",
    "invariant_damage": "holds values that cannot be true",
}
# What SQLite says, through whoever works with the database.
_MALFORMED = ("disk image is malformed", "file is not a database", "integrity check failed")
# What sqlite_info says where one copy was damaged and no other showed the same.
_SEEN_ONCE = "looks damaged"
_READ_ONLY = ("readonly database", "read-only file system", "unable to open database file", "disk i/o error")


def frozen(view: DatabaseView) -> Finding | None:
    """Somebody examines or restores it: nothing is touched until that is over."""
    if view.freeze is None:
        return None
    return Finding(
        None,
        f"the database is frozen ({words(view.freeze)})",
        view.seen()[:2],
        escalate="It is examined or restored, so nothing is started, restarted or ended here: that playbook goes on where it was.",
        details={"next": CORRUPTION},
    )


def missing(view: DatabaseView) -> Finding | None:
    if view.state != "missing":
        return None
    return Finding(
        None,
        f"{view.site.path} is not there",
        view.seen()[:1],
        escalate=(
            f"Is its disk mounted (`findmnt -T {view.site.path}`)? If it is, the database is lost and comes back from a backup; "
            "nothing is restarted, a program could make an empty one in its place."
        ),
        details={"next": CORRUPTION, "suspected": True},
    )


def deleted(view: DatabaseView) -> Finding | None:
    if view.state != "deleted_but_open":
        return None
    pid = (view.sqlite.get("deleted") or {}).get("pid")
    holder = next((one for one in view.holders if one.get("pid") == pid), {"pid": pid})
    return Finding(
        None,
        f"{view.site.path} was deleted, and {holder_words(holder)} still has it open",
        view.seen()[:1],
        escalate=(
            f"Do NOT stop or restart anything: pid {pid} holds the last copy. It is rescued through /proc/{pid}/fd by the next command."
        ),
        details={"next": CORRUPTION, "suspected": True},
    )


def empty(view: DatabaseView) -> Finding | None:
    if view.state != "empty":
        return None
    return Finding(
        None,
        f"{view.site.path} is a file of 0 bytes",
        view.seen()[:1],
        escalate="There is nothing in it, and its write-ahead log may hold what is left: nothing is restarted.",
        details={"next": CORRUPTION, "suspected": True},
    )


def wrong_key(view: DatabaseView) -> Finding | None:
    """Only where the server is out, too: else it is the inventory that has another key than the server."""
    if view.state != "encrypted_wrong_key" or view.serves:
        return None
    return Finding(
        None,
        f"{view.site.path} is encrypted, and marketplace_database_key does not open it",
        view.seen()[:1] + [one for one in [view.complains(*_MALFORMED)] if one],
        escalate=(
            "Was the database's key changed (DATABASE_PASSWORD, a rotation of secrets) without the database, or the other way round? "
            "Put the key back that belongs to it. A wrong key looks like damage and is none: nothing is restored."
        ),
    )


def damaged(view: DatabaseView) -> Finding | None:
    """On a live database it is at most suspected; the next playbook freezes all writers and looks twice."""
    said = view.complains(*_MALFORMED)
    if view.state in DAMAGED:
        sentence = f"{view.site.path} {DAMAGED[view.state]}"
    elif view.state == "suspect" and any(_SEEN_ONCE in one for one in view.seen()):
        sentence = f"{view.site.path} looked damaged once"
    elif view.state == "unreadable" and any("Input/output error" in one for one in view.seen()):
        sentence = f"the disk refuses to read {view.site.path}"
    elif said and view.state not in ("ok", "encrypted", "encrypted_wrong_key"):
        sentence = f"{view.site.path} may be damaged"
    else:
        return None
    return Finding(
        None,
        f"{sentence} (suspected: it was looked at while it is in use)",
        view.seen()[:2] + ([f'the server says "{said}"'] if said else []),
        escalate=(
            "Damage is suspected. Nothing is restarted here, a clean stop writes into the database. The next command freezes the writers, keeps "
            "what is there, and examines that twice; only then anything is restored, and it asks first."
        ),
        details={"next": CORRUPTION, "suspected": True},
    )


def unwritable(view: DatabaseView) -> Finding | None:
    """The server may not write and no file system explains it: an attribute, an owner, a profile."""
    said = view.complains(*_READ_ONLY)
    if not said or any(one["cause"] in ("read-only-data", "disk-full", "inodes-exhausted") for one in view.health["causes"]):
        return None
    mended = [
        step for step in view.health["steps"] if step["do"] == "own" or (step["do"] == "restart" and _is_stale_mount(view))
    ]
    found = Finding(None, f"the server cannot write to {view.site.path}", [f'it says "{said}"'])
    if mended:
        found.escalate = "Owner or mode of its files, or a mount that it sees as it was, is in the way; no restore helps."
        found.details = {"next": OUTAGE}
    else:
        found.escalate = (
            f"Neither a read-only file system nor an owner explains it: `findmnt -T {view.site.path}; lsattr {view.site.path}; "
            f"ls -ln {view.site.path}*` on the host, and the mounts of the server's container; no restore helps."
        )
    return found


def _is_stale_mount(view: DatabaseView) -> bool:
    return any(one["cause"] == "stale-mount" for one in view.health["causes"])
