# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Light hosts beside a lab: real hosts with sshd and an engine, with two small services each, for runs on many hosts."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lab import filesystems, lifecycle, light_seed
from lab.content import locked
from lab.engine import Engine, ensure_engine, running_engine
from lab.errors import LabError
from lab.instance import HEALTHY_SECONDS, Lab
from lab.places import checked_name, home, labs
from lab.progress import say, stage
from lab.shell import wait_until

Given = TypeVar("Given")
Found = TypeVar("Found")

USUAL, MOST = 18, 40
HEALTHY = "healthy"
# A booting host keeps a core busy for a second or two: more at once only make each of them slower.
AT_ONCE = 4
GIBIBYTES_EACH = 0.1
# systemd and containerd of each host count against one limit of the whole machine, whose usual value is used up by twenty.
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_NEEDED = 1024
PORTS = ("ssh", "http", "health")

# What the inventory says of a light host: a site that differs from the handbook's in all that a site may differ in.
SITE = {
    "marketplace_compose_dir": light_seed.COMPOSE_DIR,
    "marketplace_public_url": "http://127.0.0.1/api/health",
    "marketplace_prometheus_url": "",
    "marketplace_database_service": "",
    "marketplace_daemon_service": "",
    "marketplace_wallets": [],
    "marketplace_data_dir": "",
    "marketplace_database_path": "",
    "marketplace_backup_dir": "",
}


def prefix(lab: str) -> str:
    """What the names of a lab's light hosts begin with."""
    return f"{lab}-light-"


def names(lab: str) -> list[str]:
    """The light hosts of a lab that are there, complete or not."""
    return sorted(path.name for path in labs().glob(f"{prefix(lab)}*") if path.is_dir())


def up(lab: str, count: int) -> list[Lab]:
    """So many light hosts, healthy; those that are there are kept, those that are half there are made anew."""
    wanted = [checked_name(f"{prefix(lab)}{number:02d}") for number in range(1, count + 1)]
    lifecycle.need_root()
    lifecycle.make_home()
    with locked(f"fleet-{lab}", f"another script/lab works on the light hosts of {lab}"):
        with locked("cache", "another script/lab builds what this one needs too"):
            engine = lifecycle.engine_in_use()
            filesystems.needed_space(home(), 1 + GIBIBYTES_EACH * count)
            seed = light_seed.ensure_light_seed(engine)
            # From here on the engine has a lab that needs it.
            for name in wanted:
                (labs() / name).mkdir(parents=True, exist_ok=True)
        _raise_inotify()
        with stage(f"{count} light hosts boot"):
            hosts = _each(lambda name: _host(name, lab, engine, seed), wanted)
        with stage("all services healthy"):
            if not wait_until(lambda: not _sick(hosts), HEALTHY_SECONDS, every=2):
                raise LabError(
                    f"Not healthy within {HEALTHY_SECONDS} s: {', '.join(_sick(hosts))}; `script/lab status` says more."
                )
    return hosts


def _raise_inotify() -> None:
    """Until the next reboot of the machine; the limit only keeps a runaway program in bounds, nothing is taken up by it."""
    found = int(INOTIFY.read_text())
    if found >= INOTIFY_NEEDED:
        return
    try:
        INOTIFY.write_text(f"{INOTIFY_NEEDED}\n")
    except OSError as refused:
        raise LabError(
            f"{INOTIFY} is {found}, too few for so many hosts, and cannot be written here ({refused.strerror}): "
            f"on the machine itself run `sysctl -w fs.inotify.max_user_instances={INOTIFY_NEEDED}`."
        ) from refused
    say(f"  note: fs.inotify.max_user_instances raised from {found} to {INOTIFY_NEEDED}, until this machine's next reboot")


def _host(name: str, lab: str, engine: Engine, seed: Path) -> Lab:
    with locked(f"lab-{name}", f"another script/lab works on {name}"):
        folder = labs() / name
        if (folder / "state.json").exists():
            host = Lab.named(name)
            state = host.host.state()
            if state == "running":
                return host
            if state == "exited":
                light_seed.mount(folder)
                host.host.start()
                return host
        lifecycle.clear(name, engine)
        light_seed.copy(seed, folder)
        light_seed.mount(folder)
        more = {"fleet": lab, "compose_dir": light_seed.COMPOSE_DIR, "site": SITE}
        return lifecycle.boot(name, engine, seed, PORTS, more)


def down(lab: str) -> int:
    """Remove a lab's light hosts; how many there were."""
    lifecycle.need_root()
    with locked(f"fleet-{lab}", f"another script/lab works on the light hosts of {lab}"):
        there = names(lab)
        if there:
            # Without its engine only files and mounts can go: the container is in the engine's own store.
            engine = running_engine() or ensure_engine()
            with stage(f"remove {len(there)} light hosts of {lab}"):
                _each(lambda name: lifecycle.clear(name, engine), there)
    lifecycle.stop_engine_after_last()
    return len(there)


def status(lab: str) -> dict[str, str]:
    """Each light host of a lab in a few words; "healthy" when nothing is wrong."""
    there = names(lab)
    return dict(zip(there, _each(_words, there), strict=True))


def _words(name: str) -> str:
    if not (labs() / name / "state.json").exists():
        return "not complete"
    host = Lab.named(name)
    state = host.host.state() or "missing"
    if state != "running":
        return f"its host is {state}"
    found = {service.name: service for service in host.services()}
    sick = [
        f"{name}: {found[name].state}, {found[name].health}" if name in found else f"{name}: no container"
        for name in host.expected_services()
        if name not in found or not found[name].well
    ]
    return "; ".join(sick) or (HEALTHY if host.serves() else "its health endpoint does not answer 200")


def _sick(hosts: Sequence[Lab]) -> list[str]:
    well = _each(lambda host: host.all_healthy() and host.serves(), hosts)
    return [host.name for host, good in zip(hosts, well, strict=True) if not good]


def _each(work: Callable[[Given], Found], given: Sequence[Given]) -> list[Found]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, given))
