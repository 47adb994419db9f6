# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed of light hosts: one small file system with their engine's images and containers, started once, stopped cleanly."""

import json
import shutil
import tarfile
from pathlib import Path

from lab import filesystems, host_container, images
from lab.content import digest
from lab.engine import Engine
from lab.filesystems import FileSystem
from lab.host_container import HostContainer
from lab.places import LIGHT, PROJECT, cache
from lab.progress import stage
from lab.shell import run

# Elsewhere than the handbook has it: sites differ, and the playbooks have to be told.
COMPOSE_DIR = "/srv/marketplace"
SERVICES = ("nginx", "server")
PROJECT_FILES = ("docker-compose.yml", "nginx.conf", "server.conf")
# A mount of its own for the engine, as a full lab has it; what else a host writes is little and stays in its container.
ENGINE = FileSystem("engine", "/var/lib/docker", "512M")


def light_seed_key() -> str:
    """Name of the seed that belongs to the files as they are now."""
    return digest(images.host_image().key, images.light_image().key, LIGHT, PROJECT / "lab/light_seed.py")


def ensure_light_seed(engine: Engine) -> Path:
    """The seed; made when it is not there. The caller holds the cache's lock."""
    host = images.ensure_host(engine)
    folder = cache() / "light" / light_seed_key()
    if (folder / "complete").exists():
        return folder
    light = images.ensure_light(engine)
    building = cache() / "building" / folder.name
    container = HostContainer(engine, f"marketplace-lab-seed-{digest(str(cache()), folder.name)}", building)
    container.remove()
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        with stage("light seed"):
            _make(container, host, light)
    finally:
        container.remove()
    shutil.rmtree(building / "ssh")
    (building / "complete").touch()
    # Nothing but copies is ever made of a seed, so those of older files are of no use to anybody.
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.parent.mkdir(parents=True)
    building.rename(folder)
    return folder


def copy(seed: Path, folder: Path) -> None:
    """The host's own copy of the file system; what is empty in it takes no room."""
    folder.mkdir(parents=True)
    source, target = (filesystems.image_file(place, ENGINE) for place in (seed, folder))
    run(["cp", "--sparse=always", "--reflink=auto", source, target])


def mount(folder: Path) -> None:
    """Mount it, if it is not mounted."""
    point = filesystems.mount_point(folder, ENGINE)
    if str(point) not in filesystems.mounted_below(folder):
        point.mkdir(parents=True, exist_ok=True)
        run(["mount", "-o", "loop,noatime", filesystems.image_file(folder, ENGINE), point])


def _make(container: HostContainer, host: images.Image, light: images.Image) -> None:
    folder = container.folder
    file = filesystems.image_file(folder, ENGINE)
    run(["truncate", "--size", ENGINE.size, file])
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-L", ENGINE.name, file])
    mount(folder)
    host_container.make_keys(folder, "seed")
    (folder / "services.json").write_text(json.dumps(SERVICES))
    with tarfile.open(folder / "project.tar", "w") as tar:
        for name in PROJECT_FILES:
            tar.add(LIGHT / name, arcname=f"{COMPOSE_DIR}/{name}".lstrip("/"), filter=_of_root)
    container.create(host.tag, "seed", {}, "seed")
    container.put_project(folder / "project.tar")
    container.start()
    container.wait_for_engine()
    with light.file.open("rb") as archive:
        container.run(["docker", "load"], stdin=archive)
    for service in SERVICES:
        container.run(["docker", "tag", light.tag, f"marketplace/{service}:light"])
    container.run(["docker", "rmi", light.tag])
    # What has run once is started again by the engine of every copy.
    container.run(["docker", "compose", "--project-directory", COMPOSE_DIR, "up", "--detach"])
    container.stop_engine()
    container.engine.docker(["stop", "--time", "30", container.name])
    filesystems.unmount(folder, trim=True)


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
