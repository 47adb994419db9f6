# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the images take from Python wheels, each pinned by its hash."""

import platform
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.content import digest, temporary_folder
from lab.errors import LabError
from lab.places import cache
from lab.shell import run

# For the Python of Debian 12, whatever this machine's own is.
SQLCIPHER = "sqlcipher3==0.6.4"
SQLCIPHER_HASHES = {
    "x86_64": "8168f8799b3d63c36ace6aeec3bc78818a52af85a0e756e1b5963673ccb7af29",
    "aarch64": "81fd0c4e64cd796c6234110871276a2eebdbbd8a991cf00fb9081a58e057fed8",
}
MACHINE = platform.machine()
SQLCIPHER_HASH = SQLCIPHER_HASHES.get(MACHINE, "")
_FOR_DEBIAN_12 = ("--only-binary=:all:", "--implementation=cp", "--python-version=3.11", f"--platform=manylinux_2_28_{MACHINE}")


@contextmanager
def wheel(requirement: str, sha256: str, *options: str) -> Iterator[zipfile.ZipFile | None]:
    """That wheel as pip finds it; None where it does not."""
    with temporary_folder() as folder:
        (folder / "requirements.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *options]
        got = run([*command, "--dest", folder, "--requirement", folder / "requirements.txt"], check=False)
        wheels = list(folder.glob("*.whl"))
        if got.returncode != 0 or not wheels:
            yield None
            return
        with zipfile.ZipFile(wheels[0]) as content:
            yield content


def sqlcipher() -> Path:
    """The folder of the package sqlcipher3, which brings SQLCipher 4 with it."""
    kept = cache() / "sqlcipher" / digest(SQLCIPHER_HASH) / "sqlcipher3"
    if kept.is_dir():
        return kept
    part = kept.parent.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with wheel(SQLCIPHER, SQLCIPHER_HASH, *_FOR_DEBIAN_12) as content:
        if content is None:
            raise LabError(
                f"pip could not download {SQLCIPHER} for Python 3.11 on {MACHINE}: let this machine reach a package index, "
                "then run script/lab up again."
            )
        content.extractall(part, [name for name in content.namelist() if name.startswith("sqlcipher3/")])
    part.rename(kept.parent)
    return kept
