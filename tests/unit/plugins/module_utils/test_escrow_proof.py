# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proven, unproven, failed: what three wallets and the site's own test say about the escrow flow."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _escrow_proof as proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _prometheus_proof

ROLES = ("buyer", "vendor", "arbiter")
PROVEN = {"state": "proven", "exit_status": 0, "seconds": 11.4, "line": "paid, 10 confirmations", "why": ""}


def wallet(role: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": role,
        "state": "ready",
        "open": "always",
        "address": "4Axx",
        "open_wallet": "escrow_1",
        "multisig": {"ready": True, "threshold": 2, "total": 3},
        "import_needed": False,
        "login": {"given": True},
        "files": {"keys": {"exists": True, "sha256": f"{role}-keys"}},
    }
    return {**found, **more}


def three(daemon: str = "synchronized", **more: dict[str, Any]) -> dict[str, Any]:
    return {"daemon": {"state": daemon}, "wallets": [wallet(role, **more.get(role, {})) for role in ROLES]}


def test_three_that_answer_with_one_address_and_three_signers_are_proof() -> None:
    found = proof.escrow(None, three())
    assert found["state"] == "proven"
    assert found["sentence"] == "wallets 3/3 open, one address, three signers"
    assert found["wallets"] == {"state": "proven", "ready": 3, "total": 3}
    assert found["next"] == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"vendor": {"state": "not_responding"}}, "wallets 2/3 open, vendor: not responding"),
        (
            {"vendor": {"state": "port_closed"}, "buyer": {"state": "port_closed"}},
            "wallets 1/3 open, buyer and vendor: port closed",
        ),
        ({"buyer": {"state": "no_wallet_open"}}, "buyer: no wallet open"),
        ({"buyer": {"state": "auth_required"}}, "buyer: login refused"),
        ({"arbiter": {"address": "4Byy"}}, "the addresses of escrow_1 DIFFER"),
        (
            {"arbiter": {"files": {"keys": {"sha256": "buyer-keys"}}}},
            "buyer and arbiter hold the SAME keys: two copies of one share",
        ),
    ],
)
def test_what_is_seen_to_be_wrong_fails(more: dict[str, Any], words: str) -> None:
    found = proof.escrow(None, three(**more))
    assert (found["state"], found["next"]) == ("failed", "monero_rpc")
    assert words in found["sentence"] and "signers" not in found["sentence"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"buyer": {"state": "syncing_busy"}}, "buyer: busy with the chain"),
        ({"buyer": {"state": "no_wallet_open", "open": "on_demand"}}, "buyer: none open now"),
        ({"buyer": {"import_needed": True}}, "buyer cannot sign before an exchange of multisig info"),
        ({"buyer": {"import_needed": None}}, "buyer: not known whether an exchange is needed"),
        ({"buyer": {"files": None}}, "buyer: signer unknown"),
        ({"buyer": {"address": None}}, "buyer: address unknown"),
        ({"buyer": {"address": "4Cc", "open_wallet": "escrow_7"}}, "the addresses cannot be compared"),
        ({"buyer": {"multisig": {"ready": False}}}, "buyer: not known to be a multisig wallet"),
        ({"buyer": {"multisig": None}}, "buyer: not known to be a multisig wallet"),
        ({"buyer": {"state": "auth_required", "login": {"given": False}}}, "buyer: no login is named"),
        ({"buyer": {"state": "unknown"}}, "buyer: state unknown"),
        ({"daemon": "synchronizing"}, "daemon synchronizing"),
    ],
)
def test_what_cannot_be_measured_is_unproven(more: Any, words: str) -> None:
    found = proof.escrow(None, three(**more))
    assert (found["state"], found["next"]) == ("unproven", "")
    assert words in found["sentence"] and "signers" not in found["sentence"]


def test_the_pin_tells_whose_keys_they_are() -> None:
    site = [{"role": role, "signer": f"{role}-KEYS".upper()} for role in ROLES]
    assert proof.escrow(None, three(), site)["state"] == "proven"
    site[2]["signer"] = "somebody-else"
    found = proof.escrow(None, three(), site)
    assert found["state"] == "failed" and "arbiter: keys of ANOTHER signer" in found["sentence"]


def test_nobody_to_ask_is_unproven() -> None:
    assert proof.escrow(None, None)["sentence"] == "wallets unproven (none is named)"
    found = proof.escrow(None, {"msg": "Docker does not answer\x1b[31m"})
    assert (found["state"], found["sentence"]) == ("unproven", "wallets unproven (Docker does not answer)")


def test_the_sites_own_test_decides_where_it_was_run() -> None:
    idle = three(buyer={"state": "no_wallet_open", "open": "on_demand"})
    found = proof.escrow(PROVEN, idle)
    assert found["state"] == "proven"
    assert found["sentence"].endswith(" · escrow test passed in 11 s: paid, 10 confirmations")
    failed = {**PROVEN, "state": "failed", "why": "exit status 3", "line": "the second signer refused\x1b[0m"}
    found = proof.escrow(failed, three())
    assert (found["state"], found["next"]) == ("failed", "monero_rpc")
    assert "escrow test FAILED after 11 s (exit status 3): the second signer refused" in found["sentence"]
    assert proof.escrow(PROVEN, three(buyer={"state": "keys_locked"}))["state"] == "failed"


def test_a_test_that_was_not_run_proves_nothing() -> None:
    found = proof.escrow({**PROVEN, "state": "not_run", "why": "payouts are frozen: rescan"}, three())
    assert found["state"] == "unproven"
    assert "escrow test not run (payouts are frozen: rescan)" in found["sentence"]
    assert proof.escrow({"skipped": True, "changed": False}, three())["state"] == "proven"


def judge(escrow: Any, **more: Any) -> dict[str, Any]:
    good = {"good": True, "sentence": "GET http://x/ 200 ×5 over 8 s", "first_good": 100.0}
    counted = {"samples": [{"value": 100.0, "labels": {}, "time": 1}], "series": [], "problem": None}
    told = {"answered": True, "clock": 0.0, "results": {"requests": counted, "errors": {**counted, "samples": []}}}
    return _prometheus_proof.verdict(
        more.pop("probes", [good]), told, error_ratio_limit=0.05, minimum_requests=20, escrow=escrow, **more
    )


def test_the_escrow_flow_is_part_of_the_verdict() -> None:
    failed = proof.escrow(None, three(buyer={"state": "container_down"}))
    assert judge(proof.escrow(None, three()))["verdict"] == "proven"
    assert judge(failed)["verdict"] == "failed" and judge(failed)["next"] == "monero_rpc"
    # Where it does not decide it still is no proof.
    assert judge(failed, escrow_decides=False)["verdict"] == "unproven"
    busy = proof.escrow(None, three(buyer={"state": "syncing_busy"}))
    assert judge(busy)["verdict"] == "unproven"
    required = judge(busy, require_escrow=True)
    assert required["verdict"] == "failed" and required["escrow"]["sentence"].endswith("the site requires its proof")
    assert "wallets not asked" in judge(None)["sentences"] and judge(None)["verdict"] == "proven"


def test_an_endpoint_that_fails_comes_first() -> None:
    bad = {"good": False, "sentence": "GET http://x/: status 503", "first_good": None}
    assert judge(proof.escrow(None, three(buyer={"state": "container_down"})), probes=[bad])["next"] == ""
