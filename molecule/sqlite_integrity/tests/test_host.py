# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database after role sqlite_integrity: the lock is gone, the service is back, and nobody else was touched."""

from __future__ import annotations

import json
from typing import Any

HEALTH = "curl -s -m 10 http://127.0.0.1:8080/api/health"


def started(host: Any) -> dict[str, str]:
    names = host.check_output("docker ps --format '{{.Names}}'").split()
    told = host.check_output("docker inspect --format '{{.Name}} {{.State.StartedAt}}' " + " ".join(names))
    return dict(line.strip("/").split(" ") for line in told.splitlines())


def test_whoever_held_the_lock_is_gone(host):
    assert host.run("systemctl is-active forgotten-transaction").stdout.strip() != "active"
    pid = host.file("/run/lock_holder").content_string.strip()
    assert not host.file(f"/proc/{pid}").exists


def test_the_server_writes_again(host):
    said = json.loads(host.check_output(HEALTH))
    assert said["database"]["status"] == "ok"
    assert said["database"]["write_seconds"] < 5


def test_what_was_not_committed_is_not_there(host):
    # A copy is asked, as everywhere.
    copy = "rm -rf /var/tmp/asked && mkdir /var/tmp/asked && cp /data/marketplace.db /data/marketplace.db-wal /var/tmp/asked"
    asked = "sqlite3 /var/tmp/asked/marketplace.db \"SELECT count(*) FROM settings WHERE name = 'forgotten'\""
    assert host.check_output(f"{copy} && {asked}; rm -rf /var/tmp/asked").strip() == "0"


def test_only_the_service_that_was_down_was_started(host):
    before = dict(line.strip("/").split(" ") for line in host.file("/run/started_before").content_string.splitlines())
    now = started(host)
    assert set(now) == set(before)
    assert {name for name in now if now[name] != before[name]} == {"marketplace-database-1"}


def test_its_log_is_kept(host):
    assert "database-" in host.check_output("ls /var/lib/marketplace_incident/kept")


def test_no_copy_and_no_note_is_left(host):
    assert host.check_output("find /var/tmp -maxdepth 1 -name 'marketplace-sqlite-*'") == ""
    assert not host.file("/var/lib/marketplace_incident/process_end.json").exists


def test_the_host_is_given_back(host):
    assert not host.file("/run/marketplace_incident/lease.json").exists
