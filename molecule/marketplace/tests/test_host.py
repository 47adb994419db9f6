# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checking the settings leaves no trace, and what the role calls right is right on the host."""

from __future__ import annotations


def test_the_settings_that_were_taken_are_true(host):
    assert host.file("/opt/marketplace/4.5/docker/docker-compose.yml").exists
    assert host.run("curl --silent --fail --max-time 5 http://127.0.0.1:8080/api/health").rc == 0


def test_nothing_was_written(host):
    assert not host.file("/run/marketplace_incident").exists
    assert not host.file("/var/lib/marketplace_incident").exists
