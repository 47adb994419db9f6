# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of wallets is read whole, or refused with one sentence; nothing of a refused one stays on the disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from unit.plugins.archives import PASSPHRASE, archive, encrypt, member, tar, wallet

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import (
    BadArchive,
    Limits,
    extract,
    manifest_problems,
    read,
)

KEY = Key(PASSPHRASE)
COLLECTIONS = str(Path(_wallet_archive.__file__).parents[5])


def refusal(path: Path, into: Path, key: Key = KEY, limits: Limits | None = None) -> BadArchive:
    """Both readers refuse it alike, in one sentence that names it, and leave nothing behind."""
    with pytest.raises(BadArchive) as looked:
        read(str(path), key, limits)
    with pytest.raises(BadArchive) as unpacked:
        extract(str(path), str(into), key, "buyer", limits)
    assert str(looked.value) == str(unpacked.value)
    assert str(path) in str(looked.value) and "\n" not in str(looked.value)
    assert PASSPHRASE not in str(looked.value)
    assert os.listdir(into) == []
    return looked.value


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["buyer/", "./buyer/", ""])
def test_one_made_elsewhere_is_taken(tmp_path: Path, prefix: str, form: int) -> None:
    path = archive(tmp_path, wallet(prefix), form)
    found = extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert found.manifest is None and found.wallets == ("escrow_1",)
    assert sorted(os.listdir(tmp_path / "into")) == ["escrow_1", "escrow_1.address.txt", "escrow_1.keys"]
    for kind, one in found.wallet("escrow_1").items():
        there = tmp_path / "into" / one.file
        assert stat.S_IMODE(there.stat().st_mode) == 0o600
        assert hashlib.sha256(there.read_bytes()).hexdigest() == one.sha256, kind
    assert stat.S_IMODE((tmp_path / "into").stat().st_mode) == 0o700


def test_one_made_by_tar_and_gpg_is_taken(tmp_path: Path) -> None:
    (tmp_path / "w" / "buyer").mkdir(parents=True)
    (tmp_path / "w" / "buyer" / ("long" * 40 + ".keys")).write_bytes(b"k")
    packed = subprocess.run(["tar", "-C", str(tmp_path / "w"), "-cz", "buyer"], capture_output=True, check=True).stdout
    found = read(str(encrypt(tmp_path / "a.tar.gz.gpg", packed)), KEY)
    assert found.wallets == ("long" * 40,) and found.roles == ("buyer",)


def test_a_large_one_takes_little_memory(tmp_path: Path) -> None:
    path = archive(tmp_path, [member("buyer/a.keys", b"k"), member("buyer/a", os.urandom(1024 * 1024) * 48)])
    program = (
        "import resource, sys\n"
        "from ansible_collections.monero_marketplace.incident.plugins.module_utils import _gpg, _wallet_archive\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "_wallet_archive.extract(sys.argv[1], sys.argv[2], _gpg.Key(sys.stdin.read()), 'buyer')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path), str(tmp_path / "into")],
        input=PASSPHRASE, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": COLLECTIONS},
    )  # fmt: skip
    assert int(ran.stdout) < 20 * 1024


UNSAFE = {
    "leads out of the archive": member("buyer/../../etc/passwd", b"x"),
    "has an absolute path": member("/etc/cron.d/x", b"x"),
    "is a symbolic link": member("buyer/escrow_1", type=tarfile.SYMTYPE, linkname="/etc/shadow"),
    "is a hard link": member("buyer/escrow_1", type=tarfile.LNKTYPE, linkname="buyer/x"),
    "is a device": member("buyer/escrow_1", type=tarfile.CHRTYPE),
    "is a named pipe": member("buyer/escrow_1", type=tarfile.FIFOTYPE),
    "is a member of an unknown kind": member("buyer/escrow_1", type=b"S"),
    "has a setuid, setgid or sticky bit": member("buyer/escrow_1", b"x", mode=0o4755),
    "has a name that no file of a wallet has": member("buyer/deep/escrow_1", b"x"),
}


@pytest.mark.parametrize("why", UNSAFE)
def test_an_unsafe_member_is_named(tmp_path: Path, why: str) -> None:
    path = archive(tmp_path, [*wallet("buyer/", "first"), UNSAFE[why]])
    refused = refusal(path, tmp_path / "into")
    assert refused.kind == "unsafe"
    assert f"'{UNSAFE[why][0].name}' {why}" in str(refused)


@pytest.mark.parametrize("mode", [0o2755, 0o1755])
def test_a_folder_with_special_bits_is_refused(tmp_path: Path, mode: int) -> None:
    path = archive(tmp_path, [member("buyer/", type=tarfile.DIRTYPE, mode=mode), *wallet("buyer/")])
    assert "'buyer/' has a setuid" in str(refusal(path, tmp_path / "into"))


@pytest.mark.parametrize(
    "name", ["buyer/.hidden", "buyer/-rf", "buyer/a\\b", "buyer/a\x1b[2J", "buyer/" + "x" * 201, "buyer/a\nb"]
)
def test_a_name_that_is_no_name_of_a_wallet_is_refused(tmp_path: Path, name: str) -> None:
    refused = str(refusal(archive(tmp_path, [member(name, b"x")]), tmp_path / "into"))
    assert "has a name that no file of a wallet has" in refused and "\x1b" not in refused


def test_the_same_member_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, [member("buyer/a.keys", b"1"), member("./buyer//a.keys", b"2")])
    assert "is in it twice" in str(refusal(path, tmp_path / "into"))


def test_bare_files_beside_folders_are_refused(tmp_path: Path) -> None:
    assert "lies bare beside folders" in str(refusal(archive(tmp_path, [*wallet("buyer/"), *wallet("")]), tmp_path / "into"))


def test_another_roles_files_are_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path, wallet("arbiter/"))
    with pytest.raises(BadArchive, match="holds the files of arbiter, not of buyer") as refused:
        extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert refused.value.kind == "other_role" and os.listdir(tmp_path / "into") == []


def test_of_several_roles_only_one_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path, [*wallet("buyer/", mark="b"), *wallet("vendor/", mark="v")])
    found = extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert (tmp_path / "into" / "escrow_1.keys").read_bytes() == b"keys of escrow_1 b"
    assert found.wallet("escrow_1")["keys"].sha256 == hashlib.sha256(b"keys of escrow_1 b").hexdigest()
    assert read(str(path), KEY).roles == ("buyer", "vendor")


def test_another_roles_files_beside_a_manifest_are_a_problem(tmp_path: Path) -> None:
    said = {"format": 1, "kind": "wallet", "role": "buyer", "wallets": []}
    path = archive(tmp_path, [member("manifest.json", json.dumps(said).encode()), *wallet("buyer/"), *wallet("vendor/")])
    found = extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert "it holds files that are not buyer's, whose it says to be" in list(manifest_problems(found))


def test_a_manifest_that_names_another_role_is_believed_over_bare_files(tmp_path: Path) -> None:
    manifest = member("manifest.json", json.dumps({"format": 1, "kind": "wallet", "role": "arbiter", "wallets": []}).encode())
    path = archive(tmp_path, [manifest, *wallet("")])
    with pytest.raises(BadArchive, match="arbiter"):
        extract(str(path), str(tmp_path / "into"), KEY, "buyer")


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    assert "is no JSON object" in str(refusal(archive(tmp_path, [member("manifest.json", text)]), tmp_path / "into"))


def test_a_wrong_passphrase_is_told_apart_from_damage(tmp_path: Path) -> None:
    path = archive(tmp_path, wallet("buyer/"))
    assert refusal(path, tmp_path / "into", Key("another one")).kind == "wrong_passphrase"
    assert refusal(path, tmp_path / "into", Key()).kind == "no_passphrase"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    assert refusal(path, tmp_path / "into").kind == "damaged"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
def test_a_truncated_one_is_damaged(tmp_path: Path, share: float) -> None:
    path = archive(tmp_path, [member("buyer/a.keys", os.urandom(300_000))])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused = refusal(path, tmp_path / "into")
    assert refused.kind == "damaged" and "gpg could not decrypt it to its end" in str(refused)


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        (gzip.compress(tar(wallet("buyer/")))[:-100], "ends in the midst of its gzip stream"),
        (gzip.compress(tar(wallet("buyer/")).rstrip(b"\0")), "ends in the midst of a member"),
        (gzip.compress(tar(wallet("buyer/"))[: 512 * 3]), "ends in the midst of a member"),
        (gzip.compress(tar(wallet("buyer/"))[:1024]), "ends without its end mark"),
        (gzip.compress(tar(wallet("buyer/")) + b"more"), "holds something behind its end mark"),
        (gzip.compress(b"no tar" * 1000), "no tar archive"),
        (gzip.compress(b""), "ends without its end mark"),
        (b"plain text", "holds no gzip stream"),
        (b"", "holds nothing"),
        (tar(wallet("buyer/")), "holds no gzip stream"),
    ],
)
def test_a_broken_gzip_or_tar_is_damaged(tmp_path: Path, plain: bytes, why: str) -> None:
    refused = refusal(encrypt(tmp_path / "a.tar.gz.gpg", plain), tmp_path / "into")
    assert refused.kind == "damaged" and why in str(refused)


@pytest.mark.parametrize(
    "content", [b"", b"text\n", os.urandom(2000).replace(b"\x8c", b"a"), gzip.compress(tar(wallet("buyer/")))]
)
def test_what_gpg_did_not_make_is_named_as_that(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz.gpg").write_bytes(b"\0" + content)
    assert refusal(tmp_path / "a.tar.gz.gpg", tmp_path / "into").kind == "not_gpg"


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.tar.gz.gpg", tmp_path / "into").kind == "missing"
    assert refusal(tmp_path, tmp_path / "into").kind == "missing"


def bomb(kind: str) -> bytes:
    """Little to store, much to unpack."""
    raw = io.BytesIO()
    with gzip.open(raw, "wb", compresslevel=1) as packed:
        info, _content = member(
            "buyer/escrow_1", type=tarfile.XHDTYPE if kind == "header" else tarfile.REGTYPE, size=2 * 1024**3
        )
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        for _megabyte in range(300):
            packed.write(bytes(1024 * 1024))
    return raw.getvalue()


def test_a_bomb_is_given_up_early(tmp_path: Path) -> None:
    path = encrypt(tmp_path / "a.tar.gz.gpg", bomb("member"))
    refused = refusal(path, tmp_path / "into", limits=Limits(bytes=1024 * 1024))
    assert refused.kind == "too_big" and "1.0 MiB" in str(refused)


def test_a_header_that_claims_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    refused = refusal(encrypt(tmp_path / "a.tar.gz.gpg", bomb("header")), tmp_path / "into")
    assert refused.kind == "damaged" and "2147483648" in str(refused)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, [member(f"buyer/w{number}.keys", b"x") for number in range(20)])
    assert refusal(path, tmp_path / "into", limits=Limits(members=19)).kind == "too_big"


def test_without_room_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, wallet("buyer/"))
    monkeypatch.setattr(_wallet_archive, "FLOOR_BYTES", 2**60)
    with pytest.raises(BadArchive, match=r"'buyer/escrow_1\.keys' needs") as refused:
        extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert refused.value.kind == "no_space" and os.listdir(tmp_path / "into") == []


def test_a_folder_in_use_is_not_unpacked_into(tmp_path: Path) -> None:
    path = archive(tmp_path, wallet("buyer/"))
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "escrow_1").write_text("mine")
    with pytest.raises(BadArchive, match="is not empty"):
        extract(str(path), str(tmp_path / "into"), KEY, "buyer")
    assert (tmp_path / "into" / "escrow_1").read_text() == "mine"


def sealed_to(recipient: str, path: Path, plain: bytes) -> Path:
    argv = ["gpg", "--batch", "--trust-model", "always", "--recipient", recipient, "--output", str(path), "--encrypt"]
    subprocess.run(argv, input=plain, check=True, capture_output=True)
    return path


def test_one_encrypted_to_a_key_opens_where_its_secret_part_is(
    tmp_path: Path, keyring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sealed_to(keyring, tmp_path / "a.tar.gz.gpg", gzip.compress(tar(wallet("buyer/"))))
    assert read(str(path), Key()).wallets == ("escrow_1",)
    # A passphrase that the site has for other archives does not stand in the way.
    assert read(str(path), KEY).wallets == ("escrow_1",)
    (tmp_path / "empty").mkdir(mode=0o700)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("GNUPGHOME", str(tmp_path / "empty"))
        assert refusal(path, tmp_path / "into", Key()).kind == "no_secret_key"
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)


def test_a_key_is_never_shown() -> None:
    assert PASSPHRASE not in repr(KEY) and PASSPHRASE not in f"{Limits()} {KEY}"
