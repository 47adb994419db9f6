# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wallet is restored with its own signer's keys, never with an older cache, and payouts wait for the application's exchange."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from drills.fixture import DrillLab
from drills.playbook import INVENTORY
from drills.steps import one_line
from drills.wallets import (
    WALLETS,
    balances,
    escrow_pays,
    look_at_wallets,
    payouts_are_frozen,
    payouts_run,
    shares_are_all_there,
)
from lab import escrow
from lab.faults import wallets as fault
from lab.faults.outside import container_of
from lab.instance import Lab
from lab.stack.project import WALLET_NAME

BACKUPS = "/backups/wallets"
KEPT = f"{WALLETS}/.marketplace_kept"
ONCALL = "monero_marketplace.incident.oncall"


@pytest.fixture
def backed_up(drill: DrillLab) -> Iterator[str]:
    """The vendor's own backup; gone afterwards, with what restores have kept."""
    drill.lab.run(["sh", "-c", f"rm -rf {KEPT} {BACKUPS}/*"])
    run = drill.run("backup")
    assert run.status == 0, run.output
    found = drill.lab.run(["sh", "-c", f"ls {BACKUPS}/marketplace-wallet-{fault.ROLE}-*.tar.gz.gpg"], check=True).stdout.split()
    assert len(found) == 1, found
    yield found[0]
    drill.heal()
    drill.lab.run(["sh", "-c", f"rm -rf {KEPT} {BACKUPS}/*"])


def passphrase() -> str:
    site = yaml.safe_load((INVENTORY / "group_vars" / "marketplace.yml").read_text(encoding="utf-8"))
    return str(site["marketplace_backup_passphrase"])


def archive_of(lab: Lab, role: str, called: str, folder: str) -> str:
    """One as another tool makes it: no manifest, the files of one role in the folder of another."""
    path = f"{BACKUPS}/{called}"
    pack = f"tar -C {WALLETS}/{role} --transform 's,^,{folder}/,' -cz {WALLET_NAME}.keys {WALLET_NAME}"
    lock = f"gpg --batch --yes --pinentry-mode loopback --passphrase-fd 3 --symmetric --output {path}"
    lab.run(["bash", "-c", f'read -r secret; {pack} | {lock} 3<<<"$secret"'], stdin=passphrase() + "\n", check=True)
    return path


def kept_and_live(lab: Lab) -> set[str]:
    """Checksums of everything below the wallets' folders, also of what was kept there."""
    said = lab.run(["sh", "-c", f"find {WALLETS} -type f -exec sha256sum {{}} +"], check=True).stdout
    return {line.split()[0] for line in said.splitlines()}


def old_cache(lab: Lab, archive: str) -> str:
    """The checksum of the cache in a backup."""
    command = f"gpg --batch --quiet --pinentry-mode loopback --passphrase-fd 0 --decrypt {archive} | tar -xzO {fault.ROLE}/{WALLET_NAME} | sha256sum"
    return lab.run(["bash", "-c", command], stdin=passphrase() + "\n", check=True).stdout.split()[0]


@pytest.mark.drill(name="wallet-restore-signers", pool="often")
def test_the_arbiters_archive_is_refused_and_the_own_one_heals(drill: DrillLab, backed_up: str) -> None:
    lab, before, funds = drill.lab, look_at_wallets(drill.lab), balances(drill.lab)
    drill.break_("wallet-keys-corrupt")
    broken = look_at_wallets(lab)
    foreign = archive_of(lab, "arbiter", "vendor-copy.tar.gz.gpg", fault.ROLE)
    refused = drill.run(
        "monero_rpc", "-e", f"wallet_restore_archive={foreign} confirm=restore:vendor-copy.tar.gz.gpg", callback=ONCALL
    )
    assert refused.status != 0, refused.output
    assert "are the arbiter's" in one_line(refused) and "the address is the same" in one_line(refused), refused.output
    assert look_at_wallets(lab).files == broken.files, "bytes of a wallet have changed"

    asked = drill.run("monero_rpc", callback=ONCALL)
    word = f"restore:{backed_up.rpartition('/')[2]}"
    assert asked.status != 0 and f"confirm={word}" in one_line(asked), asked.output
    assert look_at_wallets(lab).files == broken.files, "bytes of a wallet have changed without a confirmation"

    healed = drill.run("monero_rpc", "-e", f"confirm={word}", callback=ONCALL)
    assert "put the keys" in one_line(healed), healed.output
    seen = look_at_wallets(lab)
    shares_are_all_there(before, seen)
    assert seen.open == before.open, seen.open
    assert broken.files[fault.KEYS] in kept_and_live(lab), "the damaged keys were not kept"
    # The newest cache was not damaged and stayed, so that nothing is missing for a signature.
    payouts_run(seen)
    escrow_pays(lab, funds)


@pytest.mark.drill(name="wallet-restore-half-signature", pool="often")
def test_after_half_a_signature_no_older_cache_comes_back(drill: DrillLab, backed_up: str) -> None:
    """The vendor has signed first and used its nonces; killed before it stored, its cache on the disk is damaged too."""
    lab, before = drill.lab, look_at_wallets(drill.lab)
    funds = balances(lab)
    address = fault.ask(lab, "get_address", account_index=0)["address"]
    half = fault.ask(lab, "transfer", destinations=[{"amount": 10**9, "address": address}], account_index=0, priority=1)
    assert half["multisig_txset"], half
    lab.docker(["kill", container_of(lab, fault.SERVICE)], check=True)
    fault.keep(lab)
    fault.damage(lab, fault.CACHE)
    damaged = look_at_wallets(lab).files[fault.CACHE]
    fault.start_without_wallet(lab)
    assert fault.open_fails(lab)

    run = drill.run("monero_rpc", callback=ONCALL)
    assert "reads the chain again" in one_line(run), run.output
    seen = look_at_wallets(lab)
    shares_are_all_there(before, seen)
    old = old_cache(lab, backed_up)
    there = kept_and_live(lab)
    assert old not in there, "a cache from before the signature is back"
    assert damaged in there, "the damaged cache was not kept"
    payouts_are_frozen(seen)
    again = drill.run("monero_rpc", callback=ONCALL)
    assert "frozen" in one_line(again), again.output
    payouts_are_frozen(look_at_wallets(lab))

    escrow.exchange(lab)
    thawed = drill.run("monero_rpc", callback=ONCALL)
    assert thawed.status == 0, thawed.output
    payouts_run(look_at_wallets(lab))
    assert balances(lab) == funds, "funds are missing"
    escrow_pays(lab, funds)
