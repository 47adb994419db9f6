# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of wallets for tests, made by Python's tarfile and the gpg command: not by what reads them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

PASSPHRASE = "a passphrase that nobody guesses"


def member(name: str, content: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    return info, content


def wallet(prefix: str, name: str = "escrow_1", mark: str = "") -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        member(f"{prefix}{name}.keys", f"keys of {name} {mark}".encode()),
        member(f"{prefix}{name}", f"cache of {name} {mark}".encode() * 1000),
        member(f"{prefix}{name}.address.txt", b"4" * 95),
    ]


def tar(members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def encrypt(path: Path, plain: bytes, passphrase: str = PASSPHRASE, label: str = "") -> Path:
    reading, writing = os.pipe()
    os.write(writing, passphrase.encode() + b"\n")
    os.close(writing)
    argv = [
        "gpg", "--batch", "--no-options", "--homedir", "/nonexistent", "--no-keyring", "--no-random-seed-file", "--no-autostart",
        "--pinentry-mode", "loopback", "--passphrase-fd", str(reading), "--s2k-count", "65536", "--set-filename", label, "--output", str(path), "--symmetric",
    ]  # fmt: skip
    subprocess.run(argv, input=plain, pass_fds=[reading], check=True, capture_output=True)
    os.close(reading)
    return path


def archive(folder: Path, members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> Path:
    return encrypt(folder / "wallet.tar.gz.gpg", gzip.compress(tar(members, form), 1))
