# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No password, key, seed or balance shows in what runs about the wallets say, keep or start: known values are searched for."""

from __future__ import annotations

import pytest

from drills import secrets
from drills.fixture import DrillLab

# Rounds over all processes below which a sampler that is starved of its processor would prove nothing.
LEAST_ROUNDS = 30


@pytest.mark.parametrize(
    ("playbook", "fault"),
    [
        pytest.param("backup", "", marks=pytest.mark.drill(name="wallet-secrets-backup", pool="rotated")),
        pytest.param("monero_rpc", "wallet-closed", marks=pytest.mark.drill(name="wallet-secrets-open", pool="often")),
        pytest.param("monero_rpc", "wallet-hung", marks=pytest.mark.drill(name="wallet-secrets-restart", pool="rotated")),
        pytest.param(
            "monero_rpc", "wallet-cache-corrupt", marks=pytest.mark.drill(name="wallet-secrets-rescan", pool="rotated")
        ),
    ],
)
def test_nothing_secret_shows(playbook: str, fault: str, drill: DrillLab) -> None:
    values = secrets.known(drill.lab)
    if fault:
        drill.break_(fault)
    with secrets.sampled(drill.lab, values) as sampled:
        run = drill.run(playbook, "-vvv")
    assert run.events, f"the run did nothing:\n{run.output}"
    assert sampled.rounds >= LEAST_ROUNDS, f"the processes were looked at {sampled.rounds} times only"
    found = [f"{name} in the output" for name in secrets.in_text(values, run.output)]
    found += sampled.seen
    found += [f"{name} in the journal" for name in secrets.in_journal(drill.lab, values, run.began)]
    found += secrets.in_state(drill.lab, values)
    found += secrets.in_folder(values, drill.desk)
    assert not found, "\n".join(found)


@pytest.mark.drill(name="wallet-secrets-are-found", pool="rotated")
def test_a_secret_that_shows_is_found(drill: DrillLab) -> None:
    """The searches above find what they are for."""
    values = {"planted": "a-planted-secret-of-the-drill"}
    with secrets.sampled(drill.lab, values) as sampled:
        drill.lab.run(["sh", "-c", f"sleep 2; : {values['planted']}"], check=True)
    assert any("planted in the cmdline of sh" in one for one in sampled.seen), sampled
    drill.lab.run(["logger", f"says {values['planted']}"], check=True)
    drill.lab.run(["sh", "-c", "mkdir -p /var/lib/marketplace_incident && cat > /var/lib/marketplace_incident/planted"],
                  check=True, stdin=values["planted"])  # fmt: skip
    assert secrets.in_state(drill.lab, values) == ["planted in /var/lib/marketplace_incident/planted"]
    assert secrets.in_journal(drill.lab, values, 0) == ["planted"]
