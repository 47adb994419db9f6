# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The steps that mend a wallet RPC or its daemon. Each has a file of its name in roles/monero_rpc/tasks."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import Step

# In this order; of two alike the daemon's comes first, because wallets need it.
STEPS = (
    Step("freeze", "freeze payouts", on_services=False),
    Step("resume", "let {services} go on (SIGCONT)"),
    Step("set_chain_aside", "move the damaged chain of {services} aside, then start it"),
    Step("set_login_aside", "move the stale login file of {services} aside, then start it"),
    Step("start", "start {services}"),
    Step("restart", "restart {services}"),
    Step("switch", "close what {services} has open and open the right wallet"),
    Step("open", "open the wallet of {services}"),
    Step("restore", "restore the wallet of {services}"),
    Step("thaw", "let payouts go on", on_services=False),
)
ORDER = tuple(step.name for step in STEPS)
SENTENCES = {step.name: step.sentence for step in STEPS}
