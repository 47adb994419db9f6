# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The files of the host's own timers: the code that this very module was sent with, and for each timer its settings and two systemd units."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_command
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_command import PROVE, TASKS
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_options import DATABASE, WALLET
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    draft_of,
    naming,
    put_in_place,
    remove,
    sync_directory,
    write_all,
)

PACKAGE = _backup_command.__name__.rpartition(".")[0]
_LAUNCH = '''\
"""Made by monero_marketplace.incident.backup_timer, which replaces what is changed here."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from {package}._backup_command import main

sys.exit(main(sys.argv[1:]))
'''
_SERVICE = """\
[Unit]
Description={what}
After=docker.service
StartLimitIntervalSec=12h
StartLimitBurst=12

[Service]
Type=exec
ExecStart={python} {tree}/{launcher} {settings}
# Somebody acts on this host, or a hold forbids it: again in ten minutes. A failure stays failed, to be seen.
RestartForceExitStatus={later}
RestartSec=600
RuntimeMaxSec=2h
UMask=0077
NoNewPrivileges=yes
Nice=10
"""
_TIMER = """\
[Unit]
Description={what}

[Timer]
OnCalendar={schedule}
RandomizedDelaySec={delay}
# Each host has its own delay, and keeps it: two runs are as far apart as the calendar says.
FixedRandomDelay=true
Persistent=true

[Install]
WantedBy=timers.target
"""


_WHAT = {
    WALLET: "Encrypted backup of the marketplace's wallets",
    DATABASE: "Encrypted backup of the marketplace's database",
    PROVE: "Proof that the marketplace's backups can be restored",
}
SCHEDULES = {WALLET: "*-*-* 03:17:00", DATABASE: "hourly", PROVE: "*-*-* 04:41:00"}


@dataclass(frozen=True)
class Where:
    """Folders on the host, and which timer it is about."""

    tree: str
    settings: str
    units: str = "/etc/systemd/system"
    kind: str = WALLET

    @property
    def task(self) -> str:
        return TASKS[self.kind]

    @property
    def unit(self) -> str:
        return f"marketplace-backup-{self.task}"

    @property
    def launcher(self) -> str:
        return f"backup_{self.task}.py"

    def setting(self, ending: str) -> str:
        return os.path.join(self.settings, f"backup-{self.task}.{ending}")


@dataclass(frozen=True)
class File:
    """One file as it is to be."""

    path: str
    content: bytes
    mode: int


def code() -> dict[str, bytes]:
    """The sources of everything the command needs, by the names of their modules: what is loaded now, and nothing of Ansible's own."""
    found: dict[str, bytes] = {}
    for name, loaded in sorted(sys.modules.items()):
        loader = getattr(loaded, "__loader__", None)
        if name.startswith(PACKAGE + ".") and name != __name__ and loader is not None:
            # Text from Python's own loaders, bytes from Ansible's.
            source = loader.get_source(name)
            found[name] = source.encode() if isinstance(source, str) else source
    return found


def files(where: Where, settings: dict[str, Any], secrets: dict[str, str], schedule: str, delay: int) -> list[File]:
    there = {**settings, "kind": where.kind, **{f"{name}_file": where.setting(name) for name in secrets}}
    service = _SERVICE.format(
        what=_WHAT[where.kind], python=sys.executable, tree=where.tree, launcher=where.launcher, settings=where.setting("json"),
        later=_backup_command.LATER,
    )  # fmt: skip
    timer = _TIMER.format(what=_WHAT[where.kind], schedule=schedule or SCHEDULES[where.kind], delay=delay)
    return [
        *(
            File(os.path.join(where.tree, *name.split(".")) + ".py", source, 0o644)
            for name, source in code().items()
        ),
        File(os.path.join(where.tree, where.launcher), _LAUNCH.format(package=PACKAGE).encode(), 0o644),
        *(File(where.setting(name), f"{value}\n".encode(), 0o600) for name, value in secrets.items()),
        File(where.setting("json"), (json.dumps(there, sort_keys=True, indent=1) + "\n").encode(), 0o600),
        File(os.path.join(where.units, f"{where.unit}.service"), service.encode(), 0o644),
        File(os.path.join(where.units, f"{where.unit}.timer"), timer.encode(), 0o644),
    ]  # fmt: skip


def different(wanted: list[File]) -> list[File]:
    """Those that are not yet as they are to be."""
    return [one for one in wanted if not _same(one)]


def _same(one: File) -> bool:
    try:
        handle = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        return (
            stat.S_ISREG(state.st_mode)
            and stat.S_IMODE(state.st_mode) == one.mode
            and state.st_uid == os.geteuid()
            and file.read(len(one.content) + 1) == one.content
        )


def put(wanted: list[File]) -> None:
    """Units last: a timer never points to what is not there yet."""
    for one in wanted:
        folder = os.path.dirname(one.path)
        os.makedirs(folder, mode=0o755 if one.mode == 0o644 else 0o700, exist_ok=True)
        draft = draft_of(one.path)
        remove(draft)
        with naming(one.path):
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, one.mode)
            try:
                os.fchmod(handle, one.mode)
                write_all(handle, one.content)
                os.fsync(handle)
            finally:
                os.close(handle)
        put_in_place(draft, one.path)


def installed(where: Where) -> list[str]:
    """What is there of this timer, units first: what is gone is not started any more. The code stays while another timer needs it."""
    candidates = [os.path.join(where.units, f"{where.unit}.{ending}") for ending in ("timer", "service")]
    candidates += [where.setting(ending) for ending in ("json", *_backup_command.SECRETS)]
    candidates.append(os.path.join(where.tree, where.launcher))
    package = os.path.join(where.tree, *PACKAGE.split("."))
    others = [os.path.join(where.tree, f"backup_{task}.py") for kind, task in TASKS.items() if kind != where.kind]
    if os.path.isdir(package) and not any(os.path.lexists(path) for path in others):
        candidates += sorted(os.path.join(package, name) for name in os.listdir(package) if name.endswith(".py"))
    return [path for path in candidates if os.path.lexists(path)]


def take_away(paths: list[str], where: Where) -> None:
    for path in paths:
        remove(path)
    for path in paths:
        if os.path.isdir(os.path.dirname(path)):
            sync_directory(os.path.dirname(path))
    # Only folders that are empty now; whatever somebody else put there stays.
    deep = PACKAGE.split(".")
    for folder in (*(os.path.join(where.tree, *deep[:depth]) for depth in range(len(deep), -1, -1)), where.settings):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
