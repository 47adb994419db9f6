# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wallet's files after role wallet_restore, by their checksums; and the freeze that stands until an exchange was made."""

from __future__ import annotations

from typing import Any

VENDOR = "/data/wallets/vendor/escrow_1"


def hashes(text: str) -> dict[str, str]:
    return {path: digest for digest, path in (line.split(None, 1) for line in text.splitlines() if line)}


def files(host: Any) -> dict[str, str]:
    with host.sudo():
        return hashes(host.check_output("find /data/wallets -type f -exec sha256sum {} +"))


def before(host: Any) -> dict[str, str]:
    with host.sudo():
        return hashes(host.file("/run/wallets_before").content_string)


def test_there_were_three_wallets_and_more(host):
    assert len([path for path in before(host) if path.endswith("/escrow_1.keys")]) == 3


def test_the_damaged_cache_is_kept_and_no_longer_used(host):
    damaged, now = before(host)[VENDOR], files(host)
    # Monero itself leaves a copy of a cache that it could not read.
    kept = [path for path, digest in now.items() if digest == damaged and path != f"{VENDOR}.unportable"]
    assert len(kept) == 1 and kept[0].startswith("/data/wallets/.marketplace_kept/vendor/escrow_1/")
    assert now.get(VENDOR) != damaged


def test_no_keys_and_no_other_wallet_changed(host):
    was, now = before(host), files(host)
    keys = {path for path in was if path.endswith(".keys")}
    others = {path for path in was if path.startswith("/data/wallets/vendor/escrow_") and path != VENDOR}
    assert keys and {path: now.get(path) for path in keys | others} == {path: was[path] for path in keys | others}


def test_payouts_are_frozen(host):
    with host.sudo():
        assert host.file("/var/lib/marketplace_incident/freezes/payouts.json").exists
        assert "marketplace_freeze" in host.check_output("nft list tables")


def test_nothing_of_the_proof_is_left(host):
    with host.sudo():
        assert host.check_output("docker ps --all --quiet --filter label=marketplace_incident=wallet-proof") == ""
        assert host.check_output("ls /run/marketplace_incident/wallet_proof") == "lock"
