# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""up and down: from nothing, or from whatever an earlier attempt left, to a healthy lab; and back to nothing."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import filesystems, images, light_seed
from lab.content import locked
from lab.engine import Engine, ensure_engine, remove_own_engine, running_engine, stop_own_engine
from lab.errors import LabError
from lab.host_container import INSIDE_PORTS, HostContainer, make_keys, ssh_answers, write_known_hosts
from lab.instance import Lab, command
from lab.places import cache, home, labs
from lab.ports import free_ports
from lab.progress import say, stage
from lab.seed import ensure_seed, seed_folder, seed_key
from lab.shell import wait_until
from lab.stack import tls

ADDRESS = "127.0.0.1"
# Several hosts of one command wait for each other in silence.
_PORTS = threading.Lock()


def up(name: str) -> Lab:
    """Bring a lab up; what is already there is kept, what is half there is made anew."""
    need_root()
    make_home()
    with locked(f"lab-{name}", f"another script/lab works on {name}"):
        # Within the lock nobody builds the same twice, nor stops the engine before this lab counts as one.
        with locked("cache", "another script/lab builds what this one needs too"):
            engine = engine_in_use()
            existing = _existing(name)
            seed = seed_folder() if existing else _prepare(name, engine)
        lab = existing or _boot(name, engine, seed)
        with stage("health endpoint answers"):
            if not lab.wait_until_serving(90):
                raise LabError(_unwell(lab))
        with stage("all services healthy"):
            if not lab.wait_until_healthy():
                raise LabError(_unwell(lab))
    return lab


def engine_in_use() -> Engine:
    """The engine that answers, started here if none does."""
    with stage("engine") as remark:
        engine = ensure_engine()
        remark("of the lab's own" if engine.ours else "the one that answers")
    return engine


def _existing(name: str) -> Lab | None:
    """The lab if it was completed once and can go on; after a reboot of the machine it is only stopped."""
    if not (labs() / name / "state.json").exists():
        return None
    lab = Lab.named(name)
    state = lab.host.state()
    if state == "running":
        if "fleet" not in lab.state and lab.state["seed"] != seed_key():
            say(f"  note: the lab's files changed since {name} was started; `{command(name, 'down')}` and up takes them in")
        return lab
    if state is None:
        return None
    with stage("host starts again"):
        (light_seed if "fleet" in lab.state else filesystems).mount(lab.folder)
        lab.host.start()
    return lab


def _prepare(name: str, engine: Engine) -> Path:
    """Images, seed, and this lab's copy of it; whatever an earlier attempt left is removed first."""
    folder = labs() / name
    clear(name, engine)
    images.ensure_host(engine)
    seed = ensure_seed(engine)
    filesystems.needed_space(home(), 2)
    with stage("file systems from the seed"):
        folder.mkdir(parents=True)
        filesystems.copy(seed, folder)
        shutil.copytree(seed / "ledger", folder / "ledger")
        shutil.copy(seed / "authority" / tls.AUTHORITY_CERTIFICATE, folder / "ca.crt")
        filesystems.mount(folder)
    return seed


def _boot(name: str, engine: Engine, seed: Path) -> Lab:
    with stage("host boots"):
        return boot(name, engine, seed, tuple(INSIDE_PORTS), {})


def boot(name: str, engine: Engine, seed: Path, published: Sequence[str], more: Mapping[str, object]) -> Lab:
    """Create and start a host whose file systems are mounted; it can be used once sshd answers."""
    folder = labs() / name
    container = HostContainer(engine, f"marketplace-lab-{name}", folder)
    make_keys(folder, name)
    # Which ports are free is true until somebody else asks: from the question to the start nobody else may.
    with _PORTS, locked("ports", "another lab takes its ports"):
        free = free_ports()
        ports = {port: free[port] for port in published}
        container.create(images.host_image().tag, name, ports, "lab")
        container.put_project(seed / "project.tar")
        container.start()
        write_known_hosts(folder, ADDRESS, ports["ssh"])
        (folder / "desk").mkdir(mode=0o700)
        state = {**_state(name, container, ports, seed), **more}
        _give_to_caller(folder / "ssh", folder / "ssh/id_ed25519", folder / "ssh/known_hosts", folder / "desk")
        _write(folder / "state.json", state)
    if not _wait_for_ssh(ports["ssh"]):
        raise LabError(f"sshd of {name} did not answer within 60 s: see `docker logs {container.name}`.")
    return Lab.named(name)


def _state(name: str, container: HostContainer, ports: dict[str, int], seed: Path) -> dict[str, object]:
    folder = labs() / name
    return {
        "name": name,
        "container": container.name,
        "address": ADDRESS,
        "ports": ports,
        "ssh_user": "deploy",
        "ssh_key": str(folder / "ssh/id_ed25519"),
        "known_hosts": str(folder / "ssh/known_hosts"),
        "ledger": str(folder / "ledger"),
        "desk": str(folder / "desk"),
        "authority": str(folder / "ca.crt"),
        "seed": seed.name,
        "services": json.loads((seed / "services.json").read_text()),
    }


def _write(file: Path, state: dict[str, object]) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(state, indent=2) + "\n")
    part.rename(file)


def make_home() -> None:
    """A missing ~/.cache is its user's, not root's, or other programs of theirs fail in it."""
    missing = [path for path in (home(), *home().parents) if not path.exists()]
    home().mkdir(parents=True, exist_ok=True)
    _give_to_caller(*missing)


def _give_to_caller(*paths: Path) -> None:
    """Whoever called through sudo runs ansible-playbook as themselves."""
    owner = os.environ.get("SUDO_UID")
    if owner:
        for path in paths:
            os.chown(path, int(owner), int(os.environ.get("SUDO_GID", "-1")))


def _wait_for_ssh(port: int) -> bool:
    return wait_until(lambda: ssh_answers(ADDRESS, port), 60)


def _unwell(lab: Lab) -> str:
    sick = [f"{service.name} {service.state}/{service.health}" for service in lab.services() if not service.well]
    return (
        f"Lab {lab.name} is up but not healthy ({', '.join(sick) or 'its engine does not answer'}): "
        f"`{command(lab.name, 'heal')}` mends it, `{command(lab.name, 'down')}` and up makes it anew."
    )


def _refuse_foreign(container: HostContainer) -> None:
    """A container of that name that belongs to another MARKETPLACE_LAB_HOME is somebody else's lab."""
    asked = container.engine.docker(
        ["inspect", "--format", '{{index .Config.Labels "marketplace-lab.home"}}', container.name], check=False
    )
    owner = asked.stdout.strip()
    if asked.returncode == 0 and owner != str(home()):
        raise LabError(
            f"The container {container.name} belongs to the lab home {owner or 'of something else'}: "
            "choose another name, for example LAB=market-2."
        )


def clear(name: str, engine: Engine) -> None:
    """Remove container, mounts and files of a lab, however complete they are."""
    container = HostContainer(engine, f"marketplace-lab-{name}", labs() / name)
    _refuse_foreign(container)
    container.remove()
    if container.folder.exists():
        _end_ssh(container.folder)
        shutil.rmtree(container.folder)


def _end_ssh(folder: Path) -> None:
    control = folder / "ssh/control"
    if control.exists():
        subprocess.run(["ssh", "-o", f"ControlPath={control}", "-O", "exit", ADDRESS], capture_output=True, check=False)


def down(name: str) -> None:
    """Remove a lab; the last one takes the engine with it if the lab started that."""
    need_root()
    with locked(f"lab-{name}", f"another script/lab works on {name}"):
        engine = running_engine()
        folder = labs() / name
        with stage(f"remove {name}") as remark:
            if engine is None and not folder.exists():
                remark("it was not there")
                return
            # Without its engine only files and mounts can go: the container is in the engine's own store.
            engine = engine or ensure_engine()
            container = HostContainer(engine, f"marketplace-lab-{name}", folder)
            if container.state() is None and not folder.exists():
                remark("it was not there")
            else:
                clear(name, engine)
    stop_engine_after_last()


def down_cache() -> None:
    """Remove the content cache too; refused while any lab is up."""
    need_root()
    rest = running_labs()
    if rest:
        raise LabError(f"The cache is in use by {', '.join(rest)}: take them down first, `{command(rest[0], 'down')}`.")
    with stage("remove the cache"):
        engine = running_engine()
        if engine and not engine.ours:
            images.remove_images(engine)
        stop_own_engine()
        for folder in (cache() / "building").glob("*"):
            filesystems.unmount(folder)
        remove_own_engine()
        for folder in (cache(), labs()):
            shutil.rmtree(folder, ignore_errors=True)
        home().rmdir()


def running_labs() -> list[str]:
    """Names of the labs that are there."""
    return sorted(path.name for path in labs().glob("*") if path.is_dir())


def stop_engine_after_last() -> None:
    """Stop the engine of our own when no lab needs it any more."""
    if running_labs():
        return
    if labs().exists():
        labs().rmdir()
    # A build in progress holds the cache's lock and needs the engine.
    with locked("cache", "another script/lab still builds"):
        if not running_labs() and stop_own_engine():
            say("  the lab's own engine stopped with its last lab")


def need_root() -> None:
    """Refuse before anything is begun that could not be ended."""
    if os.geteuid() != 0:
        raise LabError("The lab mounts file systems and starts containers: run script/lab as root, or install sudo.")
