# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup.yml beside what is wrong: a wallet that hangs, a run that is killed. Archives are opened by gpg and tar."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml

from drills.fixture import DrillLab
from drills.playbook import INVENTORY
from drills.wallets import ROLES, WALLETS, look_at_wallets

FOLDER = "/backups/wallets"
# On the host, the passphrase on standard input: the names and hashes of what is in each role's newest archive, and its manifest.
OPEN = r"""
import hashlib, io, json, subprocess, sys, tarfile
passphrase, found = sys.stdin.read(), {}
for role in sys.argv[2:]:
    argv = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt",
            "%s/latest-%s.tar.gz.gpg" % (sys.argv[1], role)]
    plain = subprocess.run(argv, input=passphrase.encode(), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        content = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}
    manifest = json.loads(content.pop("manifest.json"))
    found[role] = {"manifest": manifest, "files": {name: hashlib.sha256(raw).hexdigest() for name, raw in content.items()}}
print(json.dumps(found))
"""


def archives(drill: DrillLab) -> dict[str, dict[str, Any]]:
    site = yaml.safe_load((INVENTORY / "group_vars" / "marketplace.yml").read_text(encoding="utf-8"))
    asked = drill.lab.run(["python3", "-c", OPEN, FOLDER, *ROLES], check=True, stdin=site["marketplace_backup_passphrase"])
    return dict(json.loads(asked.stdout))


def no_archive(drill: DrillLab) -> None:
    drill.lab.run(["rm", "-rf", FOLDER], check=True)


def assert_all_keys_are_kept(drill: DrillLab) -> dict[str, dict[str, Any]]:
    """The keys in each archive are the ones that lie there, for every wallet; no role's archive holds another role's."""
    there = {path.removeprefix(f"{WALLETS}/"): digest for path, digest in look_at_wallets(drill.lab).files.items()}
    found = archives(drill)
    for role in ROLES:
        inside = {name: digest for name, digest in found[role]["files"].items() if name.endswith(".keys")}
        assert inside and inside == {
            name: digest for name, digest in there.items() if name.startswith(f"{role}/") and name.endswith(".keys")
        }
        assert {name.split("/")[0] for name in found[role]["files"]} == {role}
    return found


@pytest.mark.drill(name="wallet-backup-hung", pool="rotated")
def test_a_wallet_that_hangs_is_backed_up_as_it_lies(drill: DrillLab) -> None:
    no_archive(drill)
    drill.break_("wallet-hung")
    before = drill.look()
    run = drill.run("backup", "-e", "backup_store_timeout=3")
    assert run.status == 0, run.output
    assert "could not be stored" in run.output, run.output
    told = {
        role: {one["name"]: one["consistent"] for one in found["manifest"]["wallets"]}
        for role, found in assert_all_keys_are_kept(drill).items()
    }
    assert told["vendor"]["escrow_1"] == "unstored", told
    assert (told["buyer"]["escrow_1"], told["arbiter"]["escrow_1"]) == ("stored", "stored"), told
    after = drill.look()
    assert {name: one.started for name, one in before.containers.items()} == {
        name: one.started for name, one in after.containers.items()
    }
    assert [entry["incident"] for entry in drill.timeline() if str(entry.get("incident")).startswith("INC-")] == []
    drill.assert_tidy()


@pytest.mark.drill(name="wallet-backup-killed", pool="often")
def test_a_run_that_is_killed_leaves_nothing_half_and_the_next_one_ends_it(drill: DrillLab) -> None:
    no_archive(drill)
    for chance in (1.0, 3.0):
        running = drill.controller.start("backup", "-e", "backup_minimum_age=0")
        deadline = time.monotonic() + 60
        while running.running and drill.lab.run(["test", "-d", f"{FOLDER}/.work"]).returncode != 0:
            assert time.monotonic() < deadline, "the backup never began"
        until = time.monotonic() + chance
        while running.running and time.monotonic() < until:
            time.sleep(0.05)
        running.kill(tree=True)
    # Whatever is published now opens, though nobody has cleaned up yet.
    names = drill.lab.run(["find", FOLDER, "-name", "marketplace-wallet-*.gpg"], check=True).stdout.split()
    for name in names:
        drill.lab.run(["sh", "-c", f"cd {FOLDER} && sha256sum --check --status {name}.sha256"], check=True)
    run = drill.run("backup", "-e", "backup_minimum_age=0")
    assert run.status == 0, run.output
    assert_all_keys_are_kept(drill)
    left = drill.lab.run(["find", f"{FOLDER}/.work", "-type", "f"], check=True).stdout
    assert left == "", f"the killed runs left {left}"
    drill.assert_tidy()
