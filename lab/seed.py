# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed: a marketplace that ran once, stopped cleanly. Each lab starts from a copy of its file systems."""

import json
import os
import shutil
import time
from pathlib import Path

from lab import filesystems, host_container, images, project_archive
from lab.content import digest
from lab.engine import Engine
from lab.errors import LabError
from lab.host_container import HostContainer
from lab.places import COMPOSE_DIR, PROJECT, STACK, cache
from lab.progress import stage
from lab.shell import wait_until
from lab.stack import project

ORDERS = 50_000
SETTLED_PICONERO = 10**9
ESCROW_SERVICES = ("monerod", "monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor", "monero-wallet-rpc-arbiter")
KEPT_SEEDS = 2

# What the seed depends on beside the images and the stack's files.
MAKERS = ("seed.py", "filesystems.py", "host_container.py", "project_archive.py")


def seed_key() -> str:
    """Name of the seed that belongs to the files as they are now."""
    makers = [PROJECT / "lab" / name for name in MAKERS]
    return digest(images.host_image().key, images.stack_image().key, STACK, *makers)


def seed_folder() -> Path:
    """Where that seed is, or will be."""
    return cache() / "seeds" / seed_key()


def escrow_archive() -> Path:
    """Chain and wallets, which take long to make and stay good when other things change."""
    makers = (STACK / "monerod", STACK / "escrow", STACK / "server/marketplace/multisig.py")
    key = digest(images.stack_image().key, *makers, *project.WALLET_NAMES)
    return cache() / "escrow" / f"{key}.tar"


def ensure_seed(engine: Engine) -> Path:
    """The seed; made when it is not there. The caller holds the cache's lock."""
    folder = seed_folder()
    if (folder / "complete").exists():
        os.utime(folder)
        return folder
    filesystems.needed_space(cache(), 4)
    host = images.ensure_host(engine)
    stack = images.ensure_stack(engine)
    _clear_unfinished(engine)
    building = cache() / "building" / folder.name
    building.mkdir(parents=True)
    # Two homes may build the same seed in one engine at once.
    container = HostContainer(engine, f"marketplace-lab-seed-{digest(str(cache()), folder.name)}", building)
    try:
        _make(container, host, stack)
    except LabError as failed:
        _keep_logs(container, cache() / "seed-failure.log")
        raise LabError(f"{failed} The services' last words are in {cache() / 'seed-failure.log'}.") from failed
    finally:
        container.remove()
    (building / "complete").touch()
    folder.parent.mkdir(exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    shutil.rmtree(building / "ssh")
    building.rename(folder)
    _forget_older(folder.parent)
    return folder


def _make(container: HostContainer, host: images.Image, stack: images.Image) -> None:
    folder = container.folder
    with stage("seed: host"):
        filesystems.create(folder)
        filesystems.mount(folder)
        host_container.make_keys(folder, "seed")
        project_archive.write_repository(folder / "project", folder / "authority")
        project_archive.pack(folder / "project", folder / "authority", folder / "project.tar")
        container.create(host.tag, "seed", {}, "seed")
        container.put_project(folder / "project.tar")
        container.start()
        container.wait_for_engine()
    with stage("seed: images into its engine"):
        with stack.file.open("rb") as file:
            container.run(["docker", "load"], stdin=file)
        container.run(["docker", "tag", stack.tag, project.STACK_IMAGE])
        container.run(["docker", "rmi", stack.tag])
        container.run(
            ["docker", "build", "--quiet", "--tag", project.SERVER_IMAGE,
             "--build-arg", f"RELEASE={project.SERVER_RELEASE}", "--build-arg", f"COMMIT={project.server_commit()}",
             f"{COMPOSE_DIR}/server"]
        )  # fmt: skip
    _make_folders(container)
    archive = escrow_archive()
    if archive.exists():
        with stage("seed: chain and wallets from the cache"), archive.open("rb") as file:
            container.run(["tar", "-C", "/data", "-x"], stdin=file)
    else:
        with stage("seed: chain and funded 2-of-3 escrows") as remark:
            remark(_make_escrow(container, archive))
    with stage(f"seed: database with {ORDERS} orders"):
        container.run(
            ["docker", "run", "--rm", "--network", "none", "--volume", "/data:/data", project.SERVER_IMAGE,
             "seed", "--orders", str(ORDERS)]
        )  # fmt: skip
    with stage("seed: first start until all is healthy"):
        _start_until_healthy(container)
        services = container.compose(["config", "--services"]).stdout.split()
        (folder / "services.json").write_text(json.dumps(sorted(services)))
    with stage("seed: an escrow of each wallet is settled"):
        for wallet in project.WALLET_NAMES:
            _settle_one(container, wallet)
    with stage("seed: clean stop"):
        _stop(container)


def _make_folders(container: HostContainer) -> None:
    owner = str(project.SERVICE_UID)
    container.run(["install", "-d", "-o", owner, "-g", owner, *project.DATA_FOLDERS])
    container.run(["install", "-d", "-m", "0750", "/backups/database", "/backups/wallets"])


def _make_escrow(container: HostContainer, archive: Path) -> str:
    container.compose(["up", "--detach", *ESCROW_SERVICES])
    made = json.loads(container.run(["python3", f"{COMPOSE_DIR}/escrow/escrow.py", "make", *project.WALLET_NAMES]).stdout)
    container.compose(["stop", *ESCROW_SERVICES])
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    container.run(["tar", "-C", "/data", "-cf", "/data/escrow.tar", "monero", "wallets"])
    shutil.move(filesystems.mount_point(container.folder, filesystems.FILE_SYSTEMS[1]) / "escrow.tar", part)
    part.rename(archive)
    return f"{len(made['wallets'])} wallets, {made['balance'] / 1e12:.1f} XMR in each"


def _start_until_healthy(container: HostContainer) -> None:
    """On a busy machine a wallet may need longer than its first probes give it: then Compose gives up, and is asked again."""

    def all_well() -> bool:
        return container.compose(["up", "--detach", "--wait", "--wait-timeout", "120"], check=False).returncode == 0

    if not wait_until(all_well, 300, every=2):
        sick = container.compose(["ps", "--all", "--format", "{{.Service}} {{.Status}}"], check=False).stdout
        raise LabError(f"The marketplace did not become healthy within 300 s: {', '.join(sick.splitlines())}.")


def _settle_one(container: HostContainer, wallet: str) -> None:
    """So that each wallet on the disk belongs to an escrow of the database, and was really paid from."""
    site = "http://127.0.0.1:8080/api/escrows"
    body = json.dumps({"wallet": wallet, "amount_piconero": SETTLED_PICONERO})
    ask = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--header", "Content-Type: application/json"]
    escrow = int(json.loads(container.run([*ask, "--data", body, site]).stdout)["id"])
    container.run([*ask, "--request", "POST", f"{site}/{escrow}/release"])

    def settled() -> bool:
        return bool(json.loads(container.run([*ask, f"{site}/{escrow}"]).stdout)["state"] == "released")

    if not wait_until(settled, 900, every=1):
        raise LabError(f"An escrow of wallet {wallet} was not settled within 900 s.")


def _stop(container: HostContainer) -> None:
    container.stop_engine()
    # A lab begins without the history of the seed: no old log lines, no hole in the metrics.
    container.run(["sh", "-c", "truncate -s 0 /var/lib/docker/containers/*/*-json.log; rm -rf /data/prometheus/*"])
    container.engine.docker(["stop", "--time", "30", container.name])
    filesystems.unmount(container.folder, trim=True)


def _keep_logs(container: HostContainer, file: Path) -> None:
    if container.state() != "running":
        return
    said = container.compose(["ps", "--all"], check=False).stdout
    said += container.compose(["logs", "--no-color", "--tail", "50"], check=False).stdout
    file.write_text(said)


def _clear_unfinished(engine: Engine) -> None:
    """Take away what a killed build left; nobody else builds while we hold the lock."""
    for name in engine.containers("marketplace-lab.kind=seed"):
        label = f'{{{{index .Config.Labels "{host_container.LABEL}"}}}}'
        if engine.docker(["inspect", "--format", label, name]).stdout.strip() == str(cache().parent):
            engine.docker(["rm", "--force", "--volumes", name])
    for folder in (cache() / "building").glob("*"):
        filesystems.unmount(folder)
        shutil.rmtree(folder)


def _forget_older(folder: Path) -> None:
    kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for seed in kept[:-KEPT_SEEDS]:
        if time.time() - seed.stat().st_mtime > 60:
            shutil.rmtree(seed)
