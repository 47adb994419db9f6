# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After role database_restore: a sound database in the place of the damaged one, which is kept, and nothing left frozen."""

from __future__ import annotations

from typing import Any


def out(host: Any, command: str) -> str:
    with host.sudo():
        return str(host.check_output(command))


def test_the_database_is_sound_and_its_files_are_the_applications(host):
    assert out(host, "sqlite3 'file:/data/marketplace.db?mode=ro' 'PRAGMA integrity_check; PRAGMA foreign_key_check;'") == "ok"
    assert out(host, "stat -c %u:%g /data/marketplace.db") == "10001:10001"


def test_the_damaged_set_is_kept_with_its_hashes_for_root_only(host):
    kept = out(host, "sh -c 'ls /data/marketplace.db.CORRUPTED-*'").split()
    assert any(name.endswith("-wal") for name in kept) and any(name.endswith(".sha256") for name in kept)
    assert set(out(host, "sh -c 'stat -c %a:%U /data/marketplace.db.CORRUPTED-*'").split()) == {"600:root"}
    assert out(host, "sh -c 'cd /data && sha256sum --quiet -c marketplace.db.CORRUPTED-*.sha256'") == ""


def test_what_was_lost_is_listed(host):
    assert int(out(host, "sh -c 'cat /var/lib/marketplace_incident/losses/*.jsonl | wc -l'")) > 0


def test_nothing_is_frozen_and_keys_belong_to_the_wallets_again(host):
    assert out(host, "find /var/lib/marketplace_incident/freezes -maxdepth 1 -name '*.json'") == ""
    before = out(host, "cat /run/keys_before").splitlines()
    now = out(host, "find /data/wallets -name '*.keys' -printf '%p %U:%G %m\\n'").splitlines()
    assert sorted(now) == sorted(line for line in before if line)


def test_the_server_serves(host):
    assert '"status"' in out(host, "curl -fsS http://127.0.0.1:8080/api/health")
