# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""One look at the Monero daemon and the wallet RPCs, all side by side, over when its time is."""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _monero_containers,
    _monero_detached,
    _monero_files,
    _monero_probe,
    _monero_process,
    _monero_states,
    _monero_versions,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_containers import Container, Found
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import Login
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import NoLogin, read_login

# Docker gets the smaller part of the time: its files say the same.
DOCKER_SHARE = 0.4
LOG_LINES = 15
SEARCHED_LINES = 500
UNANSWERED: dict[str, Any] = {"answer": "late", "detail": "no answer in time", "interface": None, "unanswered": []}
DAEMON_KEYS = (
    "height", "target_height", "synchronized", "busy_syncing", "last_block_age", "last_block_hash", "peers_out", "peers_in", "version",
    "network", "offline",
)  # fmt: skip
WALLET_KEYS = ("height", "address", "multisig", "import_needed")


@dataclass(frozen=True)
class Wanted:
    project_dir: str
    daemon: dict[str, Any]
    wallets: list[dict[str, Any]]
    wallet_port: int = 18082
    timeout: float = 1.8
    balances: bool = False
    context: ssl.SSLContext | None = None


@dataclass
class Subject:
    """One program that is looked at."""

    service: str
    url: str
    container: Container | None
    log_path: str = ""
    before: _monero_process.Look | None = None
    after: _monero_process.Look | None = None
    told: dict[str, Any] | None = None
    files: dict[str, Any] | None = None
    login: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list, repr=False)


def look(wanted: Wanted) -> dict[str, Any]:
    began = time.monotonic()
    deadline = began + wanted.timeout
    services = [one for one in [wanted.daemon.get("service"), *(wallet["service"] for wallet in wanted.wallets)] if one]
    containers = _monero_containers.find(wanted.project_dir, services, wanted.timeout * DOCKER_SHARE)
    daemon = _subject(wanted.daemon, int(wanted.daemon.get("port") or 18081), containers)
    wallets = [_subject(one, wanted.wallet_port, containers) for one in wanted.wallets]
    subjects = [daemon, *wallets]
    main = _main_processes(subjects)
    for one in subjects:
        one.before = _look(one, main)
    _ask(wanted, daemon, wallets, containers, deadline, main)
    for one in subjects:
        one.after = _look(one, main)
    clock = time.time()
    told = _daemon(daemon, containers, clock)
    height = (daemon.told or {}).get("height")
    return {
        "clock": clock,
        "through": containers.through,
        "daemon": told,
        "wallets": [
            _wallet(one, subject, containers, clock, told["state"], height) for one, subject in zip(wanted.wallets, wallets)
        ],
    }


def _subject(one: dict[str, Any], port: int, containers: Found) -> Subject:
    container = containers.by_service.get(one.get("service") or "")
    url = str(one.get("url") or "")
    if not url and container is not None and container.address and container.status == "running":
        url = f"http://{container.address}:{port}"
    return Subject(str(one.get("service") or ""), url, container, container.log_path if container else "")


def _main_processes(subjects: list[Subject]) -> dict[str, int]:
    identities = {one.container.id for one in subjects if one.container is not None and one.container.pid}
    pids = _monero_process.by_container(identities)
    found = {}
    for one in subjects:
        if one.container is not None and one.container.pid:
            pid = _monero_process.main_process(pids.get(one.container.id, []), one.container.pid)
            if pid is not None:
                found[one.container.id] = pid
    return found


def _look(one: Subject, main: dict[str, int]) -> _monero_process.Look | None:
    pid = main.get(one.container.id) if one.container else None
    return _monero_process.look(pid, one.log_path) if pid else None


def _ask(
    wanted: Wanted, daemon: Subject, wallets: list[Subject], containers: Found, deadline: float, main: dict[str, int]
) -> None:
    """Every question at once; what has no answer in time stays as it is here."""
    questions = Questions()
    known = _monero_files.read_locks()
    names = {one.id: one.name for one in containers.by_service.values()}
    if daemon.url:
        daemon.told = dict(UNANSWERED)
        questions.ask("daemon", _monero_probe.ask_daemon, daemon.url, wanted.context, deadline)
    for number, (one, subject) in enumerate(zip(wanted.wallets, wallets)):
        identity = subject.container.id if subject.container else None
        login, subject.login = _login(one)
        subject.secrets = [login.password] if login else []
        if subject.url:
            subject.told = dict(UNANSWERED)
            questions.ask(
                f"wallet {number}", _monero_probe.ask_wallet, subject.url, login, wanted.context, deadline, wanted.balances
            )
        if one.get("directory"):
            questions.ask(
                f"files {number}",
                _monero_files.look,
                one["directory"],
                str(one.get("wallet") or ""),
                # Without a container it is not known whose lock is whose, unless there is none at all.
                container_id=identity if identity or not containers.known else "",
                names=names,
                known=known,
                pids=[main[identity]] if identity in main else [],
            )
    for number, subject in enumerate(wallets):
        subject.told = _answer(questions, f"wallet {number}", deadline, subject.told) if subject.url else None
        if wanted.wallets[number].get("directory"):
            subject.files = _answer(questions, f"files {number}", deadline, None)
    if daemon.url:
        daemon.told = _answer(questions, "daemon", deadline, daemon.told)


def _answer(questions: Questions, name: str, deadline: float, otherwise: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] | None = questions.answer(name, max(0.0, deadline + 0.1 - time.monotonic()))
    except KeyError:  # a resolver or a disk that hangs knows no deadline
        return otherwise
    return found


def _login(one: dict[str, Any]) -> tuple[Login | None, dict[str, Any]]:
    path = one.get("login_file") if not one.get("user") else None
    about: dict[str, Any] = {"given": bool(one.get("user")), "file_changed_at": _monero_files.changed_at(path), "problem": None}
    if one.get("user"):
        return Login(one["user"], one.get("password") or ""), about
    if not path:
        return None, about
    try:
        login = read_login(path)
    except NoLogin as problem:
        # Whether one is wanted is for the RPC to say.
        return None, {**about, "problem": str(problem)}
    return login, {**about, "given": True}


def _facts(subject: Subject, containers: Found, clock: float, **more: Any) -> _monero_states.Facts:
    return _monero_states.Facts(
        told=subject.told,
        container=subject.container.as_dict() if subject.container else None,
        containers_known=containers.known and bool(subject.service),
        process=_monero_process.as_dict(subject.before, subject.after),
        started=epoch(subject.container.started_at) if subject.container and subject.container.started_at else None,
        clock=clock,
        **more,
    )


def _daemon(subject: Subject, containers: Found, clock: float) -> dict[str, Any]:
    facts = _facts(subject, containers, clock)
    state, evidence = _monero_states.daemon(facts)
    told = subject.told or {}
    said = _monero_process.log_lines(subject.log_path, SEARCHED_LINES)
    return {
        "service": subject.service or None,
        "url": subject.url or None,
        "container": facts.container,
        "process": facts.process,
        "state": state,
        "evidence": evidence,
        **{key: told.get(key) for key in DAEMON_KEYS},
        "reorganised": _monero_detached.by_daemon(said),
        "log": [] if state == "synchronized" else said[-LOG_LINES:],
    }


def _wallet(
    one: dict[str, Any], subject: Subject, containers: Found, clock: float, daemon: str, daemon_height: int | None
) -> dict[str, Any]:
    if subject.told is not None:
        subject.told["lag"] = _lag(subject.told.get("height"), daemon_height)
        subject.told["ahead"] = _lag(daemon_height, subject.told.get("height"))
    told = subject.told or {}
    _more_login_files(subject)
    facts = _facts(
        subject,
        containers,
        clock,
        wanted=str(one.get("wallet") or ""),
        open=str(one.get("open") or "on_demand"),
        address=str(one.get("address") or ""),
        signer=str(one.get("signer") or ""),
        files=subject.files,
        login=subject.login,
    )
    state, evidence = _monero_states.wallet(facts, daemon)
    interface = told.get("interface")
    files = subject.files
    said = _monero_process.log_lines(subject.log_path, SEARCHED_LINES, secrets=subject.secrets)
    return {
        "role": one["role"],
        "service": subject.service,
        "url": subject.url or None,
        "container": facts.container,
        "process": facts.process,
        "state": state,
        "evidence": evidence,
        "rpc_version": _monero_versions.words(interface),
        "release": _monero_versions.release(interface),
        **{key: told.get(key) for key in WALLET_KEYS},
        "lag": told.get("lag"),
        "open_wallet": None if files is None else files["open_wallet"],
        "wanted_wallet": facts.wanted,
        "open": facts.open,
        "pin": _monero_states.pin(facts),
        "files": None
        if files is None
        else {key: value for key, value in files.items() if key not in ("open_wallet", "locked")},
        "login": {"given": subject.login["given"], "file_changed_at": subject.login["file_changed_at"]},
        "detached": _monero_detached.last(said),
        "log": [] if state == "ready" else said[-LOG_LINES:],
        **{key: told[key] for key in ("balance", "unlocked_balance") if key in told},
    }


def _lag(height: int | None, daemon: int | None) -> int | None:
    return None if height is None or daemon is None else max(0, daemon - height)


def _more_login_files(subject: Subject) -> None:
    """The file of a login it made up lies in the folder where it was started; one older than its process was left by an earlier."""
    if subject.files is None:
        return
    folders, container = [], subject.container
    if subject.after is not None:
        folders.append(f"/proc/{subject.after.pid}/cwd")
    elif container is not None and container.upper_dir:
        folders.append(os.path.join(container.upper_dir, container.working_dir.lstrip("/")))
    started = epoch(container.started_at) if container and container.started_at and subject.after is not None else None
    found = [*subject.files["login_files"], *_monero_files.login_files(folders)]
    subject.files["login_files"] = [
        path for path in found if started is None or (_monero_files.changed_at(path) or 0.0) < started
    ]


def waiting(monero: dict[str, Any]) -> str:
    """What a person who watches it come back wants to read: states, and of those that read the chain how far they are."""
    daemon = monero["daemon"]
    said = [
        f"{one['role']}: {one['state']}{_of(one['height'], daemon['height']) if one['state'] == 'syncing_busy' else ''}"
        for one in monero["wallets"]
        if one["state"] != "ready"
    ]
    if daemon["state"] not in ("synchronized", "unknown"):
        said.insert(0, f"daemon: {daemon['state']}{_of(daemon['height'], daemon['target_height'])}")
    return "; ".join(said)


def _of(height: int | None, goal: int | None) -> str:
    return f" ({height:,} of {goal:,} blocks)" if height is not None and goal and goal > height else ""
