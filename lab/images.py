# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the lab, each named by the content it was made from and kept as a file for an empty engine."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.base_system import base_key, build, build_base
from lab.compose_plugin import WHEEL_HASH, compose_binary
from lab.content import digest, ignored, temporary_folder
from lab.engine import Engine
from lab.places import HOST, LIGHT, STACK, cache
from lab.progress import stage
from lab.wheels import SQLCIPHER_HASH, sqlcipher


@dataclass(frozen=True)
class Image:
    """An image and the file it is kept in."""

    kind: str
    key: str

    @property
    def tag(self) -> str:
        """Its name in the engine."""
        return f"marketplace-lab/{self.kind}:{self.key}"

    @property
    def file(self) -> Path:
        """Its archive in the cache."""
        return cache() / "images" / f"{self.kind}-{self.key}.tar"


def base_image() -> Image:
    """Debian 12."""
    return Image("base", base_key())


def host_image() -> Image:
    """The Debian host that runs the marketplace's engine."""
    return Image("host", digest(base_image().key, HOST, WHEEL_HASH, SQLCIPHER_HASH))


def stack_image() -> Image:
    """Every program of the marketplace, in one image; its recipe copies one package that is pinned."""
    return Image("stack", digest(base_image().key, STACK / "Dockerfile", SQLCIPHER_HASH))


def light_image() -> Image:
    """The two programs of a light host."""
    return Image("light", digest(stack_image().key, LIGHT / "Dockerfile"))


def ensure_base(engine: Engine) -> Image:
    """The base image, in the engine."""
    image = base_image()
    _ensure(engine, image, lambda: build_base(engine, image.tag))
    return image


def ensure_host(engine: Engine) -> Image:
    """The host image, in the engine."""
    image = host_image()
    if not _available(engine, image):
        base = ensure_base(engine)
        _ensure(engine, image, lambda: _build_host(engine, image, base))
    return image


def ensure_stack(engine: Engine) -> Image:
    """The stack image, as a file."""
    image = stack_image()
    if not image.file.exists():
        base = ensure_base(engine)
        _ensure(engine, image, lambda: _build_stack(engine, image, base))
    return image


def ensure_light(engine: Engine) -> Image:
    """The light image, as a file."""
    image = light_image()
    if not image.file.exists():
        stack = ensure_stack(engine)
        _available(engine, stack)
        _ensure(engine, image, lambda: build(engine, LIGHT, image.tag, {"STACK": stack.tag}))
    return image


def _available(engine: Engine, image: Image) -> bool:
    """In the engine, if need be loaded from its file."""
    if engine.has_image(image.tag):
        return True
    if not image.file.exists():
        return False
    with stage(f"load image {image.kind}"):
        engine.docker(["load", "--input", image.file])
    return True


def _ensure(engine: Engine, image: Image, make: Callable[[], None]) -> None:
    if not _available(engine, image):
        with stage(f"build image {image.kind}"):
            make()
    if not image.file.exists():
        with stage(f"keep image {image.kind}"):
            image.file.parent.mkdir(parents=True, exist_ok=True)
            part = image.file.with_suffix(".part")
            engine.docker(["save", "--output", part, image.tag])
            part.rename(image.file)
            _forget_older(engine, image)


def _build_host(engine: Engine, image: Image, base: Image) -> None:
    with temporary_folder() as folder:
        context = folder / "host"
        shutil.copytree(HOST, context, ignore=lambda _, names: [entry for entry in names if ignored(Path(entry))])
        shutil.copy(compose_binary(engine), context / "docker-compose")
        shutil.copytree(sqlcipher(), context / "sqlcipher3")
        build(engine, context, image.tag, {"BASE": base.tag})


def _build_stack(engine: Engine, image: Image, base: Image) -> None:
    engine.docker(["tag", base.tag, "marketplace-lab/base"])
    with temporary_folder() as folder:
        shutil.copy(STACK / "Dockerfile", folder)
        shutil.copytree(sqlcipher(), folder / "sqlcipher3")
        build(engine, folder, image.tag, {})


def _forget_older(engine: Engine, image: Image, keep: int = 2) -> None:
    """Someone who works on the lab makes many images: the newest two of a kind are enough."""
    kept = sorted(image.file.parent.glob(f"{image.kind}-*.tar"), key=lambda path: path.stat().st_mtime)
    for file in kept[:-keep]:
        key = file.stem.removeprefix(f"{image.kind}-")
        engine.docker(["image", "rm", Image(image.kind, key).tag], check=False)
        file.unlink()


def remove_images(engine: Engine) -> None:
    """Take all images of the lab out of the engine."""
    listed = engine.docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=marketplace-lab/*"])
    if listed.stdout.split():
        engine.docker(["image", "rm", *listed.stdout.split()], check=False)
