# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a database that is written to meanwhile, opened by gpg, gunzip and sqlite3 as a person would."""

from __future__ import annotations

import json
from typing import Any

import pytest

FOLDER = "/backups/database"
UNITS = ("wallets", "database", "prove")
# Rows of each table, of an image that nothing else has open.
COUNT = r"""
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
print(json.dumps({
    "check": [row[0] for row in database.execute("PRAGMA integrity_check")],
    "strays": database.execute("PRAGMA foreign_key_check").fetchall(),
    "mode": database.execute("PRAGMA journal_mode").fetchone()[0],
    "tables": {name: database.execute('SELECT count(*) FROM "%s"' % name).fetchone()[0] for name in tables},
}))
"""


def done(host: Any, command: str) -> str:
    ran = host.run(command)
    assert ran.rc == 0, ran.stderr
    return str(ran.stdout)


@pytest.fixture
def archive(host: Any) -> str:
    """Where the pointer leads."""
    return done(host, f"readlink --canonicalize {FOLDER}/latest.db.gz.gpg").strip()


@pytest.fixture
def manifest(host: Any, archive: str) -> dict[str, Any]:
    return dict(json.loads(done(host, f"cat {archive}.manifest.json")))


def test_what_is_in_it_is_whole_and_what_its_manifest_says(host, archive, manifest):
    passphrase = host.ansible.get_variables()["marketplace_backup_passphrase"]
    plain = f"gpg --batch --quiet --pinentry-mode loopback --passphrase '{passphrase}' --decrypt {archive} | gunzip"
    there = done(host, "mktemp -d").strip()
    try:
        done(host, f'sh -c "{plain} > {there}/image.db"')
        assert done(host, f"sha256sum {there}/image.db").split()[0] == manifest["image"]["sha256"]
        inside = json.loads(
            done(
                host, f"python3 -c '{COUNT.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}' {there}/image.db"
            )
        )
    finally:
        done(host, f"rm -r {there}")
    assert (inside["check"], inside["strays"], inside["mode"]) == (["ok"], [], "delete")
    assert inside["tables"] == manifest["image"]["tables"] and inside["tables"]["escrows"] > 0


def test_the_manifest_says_of_what_and_when_it_is(host, manifest):
    assert (manifest["kind"], manifest["site"]) == ("database", host.ansible.get_variables()["inventory_hostname"])
    # Somebody was writing: it was made beside the server, not of files that lay still.
    assert (manifest["image"]["made"], manifest["image"]["state"]) == ("online", "ok")
    heights = {role: known["escrow_1"] for role, known in manifest["wallets"].items()}
    assert set(heights) == {"arbiter", "buyer", "vendor"} and all(height > 0 for height in heights.values())


def test_the_checksum_beside_it_is_right(host, archive):
    done(host, f"cd {FOLDER} && sha256sum --check --status {archive}.sha256")


def test_only_root_can_read_any_of_it(host):
    found = done(host, f"find {FOLDER} ! -type l -printf '%u %m %y\\n'").splitlines()
    assert set(found) == {"root 700 d", "root 600 f"}


def test_the_server_still_owns_what_lies_beside_its_database(host):
    owners = done(host, "stat --format=%u /data/marketplace.db /data/marketplace.db-wal /data/marketplace.db-shm").split()
    assert len(owners) == 3 and len(set(owners)) == 1 and owners[0] != "0"


def test_nothing_in_clear_is_left_and_what_a_killed_run_left_is_gone(host):
    assert not host.file("/var/lib/marketplace_incident/scratch").exists
    assert not host.file("/data/.marketplace_backup").exists, "the server could exchange what root opens there"
    names = done(host, f"find {FOLDER} -printf '%f\\n'").split()
    assert "database.db.gz.gpg.partial" not in names and "marketplace-db-20200101T000000Z.db.gz.gpg.sha256" not in names
    assert "theirs-20200101T000000Z.sql.gz.gpg" in names


@pytest.mark.parametrize("unit", UNITS)
def test_each_timer_waits(host, unit):
    assert host.service(f"marketplace-backup-{unit}.timer").is_running
    assert host.service(f"marketplace-backup-{unit}.timer").is_enabled


def test_the_timers_make_a_backup_and_prove_it(host, archive):
    done(host, "systemctl start --wait marketplace-backup-database.service")
    said = done(host, "journalctl --no-pager --output=cat --unit marketplace-backup-database.service --lines=20")
    assert "database: made " in said
    assert done(host, f"readlink --canonicalize {FOLDER}/latest.db.gz.gpg").strip() > archive
    done(host, "systemctl start --wait marketplace-backup-prove.service")
    said = done(host, "journalctl --no-pager --output=cat --unit marketplace-backup-prove.service --lines=20")
    assert {f"{role}: good" for role in ("database", "arbiter", "buyer", "vendor")} <= {
        " ".join(line.split()[:2]) for line in said.splitlines()
    }
    metrics = done(host, "sh -c 'cat /var/lib/marketplace_incident/marketplace_backup_*.prom'")
    assert 'marketplace_backup_last_run_success{kind="database",role="database"} 1' in metrics
    assert 'marketplace_backup_proven_last_run_success{kind="database",role="database"} 1' in metrics
    assert 'marketplace_backup_proven_rto_seconds{kind="database",role="database"}' in metrics
    assert not host.file("/var/lib/marketplace_incident/scratch").exists
