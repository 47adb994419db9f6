# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives of three roles, opened by gpg and tar as a person would, and compared with what lies in the wallets' folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = "/backups/wallets"
ROLES = ("arbiter", "buyer", "vendor")


def done(host: Any, command: str) -> str:
    ran = host.run(command)
    assert ran.rc == 0, ran.stderr
    return str(ran.stdout)


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def archive(host: Any, role: str) -> str:
    """Where the pointer leads; there is one archive, for the second run had nothing to do."""
    found = done(host, f"ls {FOLDER}/marketplace-wallet-{role}-*.tar.gz.gpg").split()
    assert len(found) == 1
    assert done(host, f"readlink --canonicalize {FOLDER}/latest-{role}.tar.gz.gpg").strip() == found[0]
    return found[0]


@pytest.fixture
def plain(host: Any, archive: str) -> str:
    """A command that writes the archive decrypted."""
    passphrase = host.ansible.get_variables()["marketplace_backup_passphrase"]
    return f"gpg --batch --quiet --pinentry-mode loopback --passphrase '{passphrase}' --decrypt {archive}"


def hashes(text: str) -> dict[str, str]:
    return {line.split()[1].rpartition("/")[2]: line.split()[0] for line in text.splitlines()}


def test_what_is_in_it_is_what_lies_there(host, role, plain):
    inside = f"mktemp -d | while read -r there; do {plain} | tar -xz -C $there && sha256sum $there/{role}/*; rm -r $there; done"
    there = hashes(done(host, f"sha256sum /data/wallets/{role}/*.keys"))
    found = hashes(done(host, inside))
    assert there and there == {name: digest for name, digest in found.items() if name.endswith(".keys")}
    # A wallet's cache changes when it is stored; that each has one is what can be said without stopping it.
    assert {name[: -len(".keys")] for name in there} <= set(found)


def test_the_manifest_is_the_first_and_says_what_follows(host, role, archive, plain):
    names = done(host, f"{plain} | tar -tz").split()
    assert names[0] == "manifest.json" and {name.split("/")[0] for name in names[1:]} == {role}
    manifest = json.loads(done(host, f"{plain} | tar -xzO manifest.json"))
    assert manifest == json.loads(done(host, f"cat {archive}.manifest.json"))
    assert (manifest["role"], manifest["kind"], manifest["recipient"]) == (role, "wallet", "passphrase")
    opened = [one for one in manifest["wallets"] if one["consistent"] == "stored"]
    assert [(one["name"], one["multisig"]) for one in opened] == [("escrow_1", {"threshold": 2, "total": 3})]
    assert opened[0]["height"] > opened[0]["restore_height"] > 0


def test_the_checksum_beside_it_is_right(host, archive):
    done(host, f"cd {FOLDER} && sha256sum --check --status {archive}.sha256")


def test_only_root_can_read_any_of_it(host):
    found = done(host, f"find {FOLDER} ! -type l -printf '%u %m %y\\n'").splitlines()
    assert set(found) == {"root 700 d", "root 600 f"}


def test_what_a_killed_run_left_is_gone_and_what_others_made_is_not(host):
    names = done(host, f"find {FOLDER} -printf '%f\\n'").split()
    assert "buyer.tar.gz.gpg.partial" not in names
    assert "marketplace-wallet-buyer-20200101T000000Z.tar.gz.gpg.sha256" not in names
    assert "old-20200101T000000Z.tar.gz.gpg" in names


def test_three_signers_have_one_address_and_three_pins(host):
    variables = host.ansible.get_variables()
    pins = Path(variables["incident_desk_dir"]) / "pins" / "wallets" / f"{variables['inventory_hostname']}.json"
    pinned = json.loads(pins.read_text(encoding="utf-8"))["wallets"]
    assert pins.stat().st_mode & 0o777 == 0o600
    for role in ROLES:
        there = hashes(done(host, f"sha256sum /data/wallets/{role}/*.keys"))
        assert {f"{name}.keys": one["keys_sha256"] for name, one in pinned[role].items()} == there
    manifests = [json.loads(done(host, f"cat {FOLDER}/marketplace-wallet-{role}-*.manifest.json")) for role in ROLES]
    opened = [one for manifest in manifests for one in manifest["wallets"] if one["name"] == "escrow_1"]
    assert len({one["primary_address"] for one in opened}) == 1 and len({one["keys_sha256"] for one in opened}) == 3


def test_it_opened_no_incident(host):
    desk = Path(host.ansible.get_variables()["incident_desk_dir"])
    assert not list(desk.glob("INC-*"))
    lines = [json.loads(line) for path in desk.glob("OPS-*/timeline.jsonl") for line in path.read_text().splitlines()]
    assert [one["event"] for one in lines] == ["intent", "outcome"]


def test_the_timer_waits_and_knows_what_there_is(host):
    assert host.service("marketplace-backup-wallets.timer").is_running
    assert host.service("marketplace-backup-wallets.timer").is_enabled
    done(host, "systemctl start --wait marketplace-backup-wallets.service")
    said = done(host, "journalctl --no-pager --output=cat --unit marketplace-backup-wallets.service --lines=20")
    # It made it with the same eyes: the same keys at the same height, a few minutes ago.
    assert {f"{role}: fresh" for role in ROLES} <= {" ".join(line.split()[:2]) for line in said.splitlines()}
    metrics = done(host, "cat /var/lib/marketplace_incident/marketplace_backup_wallets.prom")
    for role in ROLES:
        assert f'marketplace_backup_last_run_success{{kind="wallet",role="{role}"}} 1' in metrics


def test_its_passphrase_is_for_root_only(host):
    found = host.file("/etc/marketplace_backup/backup-wallets.passphrase")
    assert (found.user, found.mode) == ("root", 0o600) and host.file("/etc/marketplace_backup").mode == 0o700


def test_no_agent_of_gpg_stays_behind(host):
    assert "gpg-agent" not in done(host, "ps -eo args | grep --invert-match grep")
