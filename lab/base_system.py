# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian 12 as an image, made with this machine's own package sources, proxies and certificates."""

import os
import re
import shutil
from pathlib import Path

from lab.content import digest, temporary_folder
from lab.engine import Engine
from lab.errors import LabError
from lab.shell import reason, run

SUITE = "bookworm"
PULL_SECONDS = 45

RECIPE = """\
ARG RAW
FROM ${RAW}
COPY machine/ /
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ca-certificates \\
 && update-ca-certificates \\
 && rm -rf /var/lib/apt/lists/*
"""

# Whatever makes this machine's apt work has to hold in the image too.
KEPT_OPTIONS = re.compile(r"^Acquire::(?:https?::(?:Proxy|CaInfo|Verify-\w+)|Check-Valid-Until|Check-Date)[: ]")


def base_key() -> str:
    """What the base image is named by: its recipe and this machine's certificates and package sources."""
    return digest(RECIPE, SUITE, apt_options(), *(path.read_text() for path in _certificates()), debian_sources() or "")


def apt_options() -> str:
    """This machine's apt options that concern reaching and trusting the package sources."""
    dumped = run(["apt-config", "dump"], check=False).stdout if shutil.which("apt-config") else ""
    return "".join(f"{line}\n" for line in dumped.splitlines() if KEPT_OPTIONS.match(line))


def debian_sources() -> str | None:
    """This machine's Debian package sources, for Debian 12; None when the machine is not Debian."""
    release = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)
    if not re.search(r"^ID=debian$", release, re.MULTILINE) or not found:
        return None
    file = Path("/etc/apt/sources.list.d/debian.sources")
    if not file.exists():
        file = Path("/etc/apt/sources.list")
    if not file.exists():
        return None
    return re.sub(rf"\b{found[1]}\b", SUITE, file.read_text())


def _certificates() -> list[Path]:
    return sorted(Path("/usr/local/share/ca-certificates").glob("*.crt"))


def build_base(engine: Engine, tag: str) -> None:
    """Make the base image: pulled where a registry answers, else put together from packages."""
    with temporary_folder() as context:
        _machine_files(context / "machine")
        raw = _pulled(engine) or _bootstrapped(engine, context)
        (context / "Dockerfile").write_text(RECIPE)
        build(engine, context, tag, {"RAW": raw})


def build(engine: Engine, context: Path, tag: str, arguments: dict[str, str]) -> None:
    """Build an image on the machine's own network, which is the one that is known to reach the package sources."""
    proxies = {key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    words = [word for key, value in {**proxies, **arguments}.items() for word in ("--build-arg", f"{key}={value}")]
    engine.docker(["build", "--network", "host", "--tag", tag, *words, context], timeout=1800)


def _machine_files(root: Path) -> None:
    certificates = root / "usr/local/share/ca-certificates"
    certificates.mkdir(parents=True)
    for certificate in _certificates():
        shutil.copy(certificate, certificates)
    apt = root / "etc/apt"
    (apt / "apt.conf.d").mkdir(parents=True)
    (apt / "apt.conf.d/90machine").write_text(apt_options())
    sources = debian_sources()
    if sources:
        (apt / "sources.list.d").mkdir()
        deb822 = sources.lstrip().startswith("Types:") or "\nTypes:" in sources
        (apt / "sources.list").write_text("" if deb822 else sources)
        (apt / "sources.list.d/debian.sources").write_text(sources if deb822 else "")


def _pulled(engine: Engine) -> str | None:
    image = f"debian:{SUITE}-slim"
    pulled = run(["timeout", str(PULL_SECONDS), "docker", "pull", "--quiet", image], check=False, env=engine.environment())
    return image if pulled.returncode == 0 else None


def _bootstrapped(engine: Engine, folder: Path) -> str:
    if not shutil.which("mmdebstrap"):
        raise LabError("No image registry answers and mmdebstrap is not on this machine: run script/bootstrap.")
    tarball = folder / "raw.tar"
    command: list[str | Path] = ["mmdebstrap", "--quiet", "--variant=minbase", SUITE, tarball]
    sources = debian_sources()
    if sources:
        listed = folder / ("machine.sources" if "Types:" in sources else "machine.list")
        listed.write_text(sources)
        command.append(listed)
    command += [f"--aptopt={line}" for line in apt_options().splitlines()]
    made = run(command, check=False, timeout=1800)
    if made.returncode != 0:
        raise LabError(
            "No image registry answers, and Debian 12 could not be put together from packages "
            f"(does `apt-get update` work here?): {reason(made)}"
        )
    raw = "marketplace-lab/raw:latest"
    engine.docker(["import", tarball, raw])
    tarball.unlink()
    return raw
