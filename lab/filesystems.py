# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three file systems of a host: files outside, mounted here, bound into the container.

Apart, because a full or read-only /data must not take the engine with it, nor the other way round.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.shell import run


@dataclass(frozen=True)
class FileSystem:
    """One file system of the host."""

    name: str
    target: str
    size: str


# Small on purpose: a drill that fills one has to be over in seconds.
FILE_SYSTEMS = (
    FileSystem("engine", "/var/lib/docker", "2G"),
    FileSystem("data", "/data", "1G"),
    FileSystem("backups", "/backups", "1G"),
)


def image_file(folder: Path, system: FileSystem) -> Path:
    """The file that holds a file system."""
    return folder / f"{system.name}.img"


def mount_point(folder: Path, system: FileSystem) -> Path:
    """Where it is mounted outside."""
    return folder / "mnt" / system.name


def create(folder: Path) -> None:
    """Make the empty file systems."""
    for system in FILE_SYSTEMS:
        file = image_file(folder, system)
        run(["truncate", "--size", system.size, file])
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-L", system.name, file])


def copy(source: Path, target: Path) -> None:
    """Copy the file systems; what is empty in them takes no room."""
    for system in FILE_SYSTEMS:
        run(["cp", "--sparse=always", "--reflink=auto", image_file(source, system), image_file(target, system)])


def mount(folder: Path) -> None:
    """Mount what is not mounted."""
    for system in FILE_SYSTEMS:
        point = mount_point(folder, system)
        if _is_mounted(point):
            continue
        point.mkdir(parents=True, exist_ok=True)
        mounted = run(["mount", "-o", "loop,noatime", image_file(folder, system), point], check=False)
        if mounted.returncode != 0:
            raise LabError(
                f"A file system of the lab could not be mounted ({mounted.stderr.strip()}): "
                "the lab needs root and loop devices; inside a container, start that with --privileged."
            )


def unmount(folder: Path, *, trim: bool = False) -> None:
    """Unmount what is mounted; the loop devices go with it. With trim, give unused blocks back first."""
    for system in FILE_SYSTEMS:
        point = mount_point(folder, system)
        if not _is_mounted(point):
            continue
        if trim:
            run(["fstrim", point], check=False)
        if run(["umount", point], check=False).returncode != 0:
            run(["umount", "--lazy", point])


def mounted_below(folder: Path) -> list[str]:
    """Mount points below a folder."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return [point for point in (line.split()[1] for line in lines) if point.startswith(f"{folder}/")]


def _is_mounted(point: Path) -> bool:
    return str(point) in mounted_below(point.parent)


def needed_space(folder: Path, gibibytes: float) -> None:
    """Refuse before the disk is full, not after."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < gibibytes:
        raise LabError(
            f"{folder} has {free:.1f} GiB free, and this needs {gibibytes:g}: free some space "
            "(`script/lab down --cache` removes what the lab keeps), or set MARKETPLACE_LAB_HOME to a folder on a larger disk."
        )
