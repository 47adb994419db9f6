# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role was shown is really so: the site answers, Prometheus does not. And nothing was written."""

from __future__ import annotations

from typing import Any


def status(host: Any, url: str) -> str:
    return str(host.run(f"curl --silent --insecure --max-time 5 --output /dev/null --write-out '%{{http_code}}' {url}").stdout)


def test_the_site_answers(host):
    variables = host.ansible.get_variables()
    assert status(host, variables["marketplace_health_url"]) == "200"
    assert status(host, variables["marketplace_public_url"]) == "200"


def test_prometheus_is_silent(host):
    assert status(host, host.ansible.get_variables()["marketplace_prometheus_url"]) == "000"


def test_verifying_takes_no_lease_and_leaves_nothing(host):
    assert not host.file("/run/marketplace_incident").exists
    assert not host.file("/var/lib/marketplace_incident").exists


def test_the_three_wallets_are_three_signers(host):
    files = [f"/data/wallets/{role}/escrow_1.keys" for role in ("buyer", "vendor", "arbiter")]
    assert len({host.file(path).sha256sum for path in files}) == 3


def test_nothing_was_paid_while_payouts_were_frozen(host):
    assert host.file("/run/molecule_state/freezes/payouts.json").exists
    assert not host.file("/run/escrow_test_ran").exists
