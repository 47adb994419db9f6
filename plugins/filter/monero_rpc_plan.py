# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: monero_rpc_plan
short_description: Decide what to do about what monero_info found
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - A pure function of RV(monero_marketplace.incident.monero_info#module:monero), of what was asked beside it, and of what this run has
    done so far.
  - One cause for many symptoms. Wallets that miss a daemon which is down or silent are left alone until it is back.
  - A wallet RPC that does not respond is restarted only where the database proves that no signing round is open, else asked for.
  - What a restart cannot mend is escalated. Nothing is deleted by any step.
options:
  _input:
    description: The C(monero) that M(monero_marketplace.incident.monero_info) returned.
    type: dict
    required: true
  before:
    description: The same of the first look of this run, from which progress is told.
    type: dict
  server_service:
    description: The service that pays out.
    type: str
    default: server
  chain_dir:
    description: Folder of the daemon's chain database. Empty where it is not known.
    type: str
    default: ''
  signing:
    description: The C(sqlite) of M(monero_marketplace.incident.sqlite_info) with the answer C(signing). Empty where nobody asked yet.
    type: dict
    default: {}
  signing_query:
    description: The query for open signing rounds. Empty means that one may always be open.
    type: str
    default: ''
  files:
    description: By role, the C(wallet_files) of M(monero_marketplace.incident.wallet_files_info).
    type: dict
    default: {}
  restores:
    description: By role, the plan that role C(wallet_restore) made.
    type: dict
    default: {}
  freezes:
    description: The freezes that stand on the host.
    type: list
    elements: dict
    default: []
  full:
    description: Mount points of the wallets' disks that are full. Without it nobody looked.
    type: list
    elements: str
  sync_budget:
    description: Seconds for which reading the chain is waited for.
    type: float
    default: 600
  confirm:
    description: Confirmations as a list or with commas, such as V(restart:monerod).
    type: raw
    default: []
  tried:
    description: The keys of the steps this run has already taken.
    type: list
    elements: str
    default: []
  patience_over:
    description: Whether what is still on its way counts as failed.
    type: bool
    default: false
  check:
    description: Whether this is only a plan, which is decided although something still reads the chain.
    type: bool
    default: false
seealso:
  - module: monero_marketplace.incident.monero_info
  - plugin: monero_marketplace.incident.monero_rpc_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ seen.monero | monero_marketplace.incident.monero_rpc_plan(signing_query='SELECT 1') }}"
"""

RETURN = r"""
_value:
  description:
    - C(causes), each with C(cause), C(service), C(sentence), C(evidence) and C(consequence_of).
    - C(steps) in their order, each with C(do), C(services), C(containers), C(key), C(sentence), C(reason) and C(details). C(do) is the name of a task
      file of role C(monero_rpc), such as V(start).
    - C(confirm), each with C(what), C(service), C(given) and C(why); C(escalate), each with C(cause), C(service), C(sentence) and C(log).
    - C(waiting), each with C(service) and C(for); C(hopeless) services; C(healthy) services of wallets; C(risks), sentences.
    - C(frozen), why payouts are frozen, V(null) where they are not.
    - C(settled), whether daemon and wallets are as they should be and payouts run; C(serving), whether escrow works.
    - C(decided), false while only waiting shows what is to be done; C(start_period), how many seconds beyond any deadline that may take.
    - C(ask), what has to be asked before the plan can be trusted; C(signing) and C(disks) as booleans, C(files) and C(restores) as
      lists of wallets that are to be open, each with C(role) and C(wallet).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_diagnosis
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis import tried_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_view import Told, WalletSite, WalletView


def monero_rpc_plan(
    monero: dict[str, Any],
    before: dict[str, Any] | None = None,
    server_service: str = "server",
    chain_dir: str = "",
    signing: dict[str, Any] | None = None,
    signing_query: str = "",
    files: dict[str, Any] | None = None,
    restores: dict[str, Any] | None = None,
    freezes: list[dict[str, Any]] | None = None,
    full: list[str] | None = None,
    sync_budget: float = 600,
    confirm: str | list[str] | None = None,
    tried: list[str] | None = None,
    patience_over: bool = False,
    check: bool = False,
) -> dict[str, Any]:
    if not isinstance(monero, dict) or "wallets" not in monero or "daemon" not in monero:
        raise AnsibleFilterError("monero_rpc_plan needs the 'monero' that monero_marketplace.incident.monero_info returned.")
    given = confirm.split(",") if isinstance(confirm, str) else list(confirm or [])
    site = WalletSite(
        server_service=server_service,
        chain_dir=chain_dir,
        sync_budget=float(sync_budget),
        confirm=frozenset(one.strip() for one in given),
        tried=tried_from(list(tried or [])),
        patience_over=bool(patience_over),
        check=bool(check),
    )
    told = Told(
        signing=signing or None,
        no_query=not signing_query,
        files=dict(files or {}),
        restores=dict(restores or {}),
        freezes=tuple(freezes or []),
        full=None if full is None else tuple(full),
    )
    return _wallet_diagnosis.plan(WalletView(monero, site, told, before or None))


class FilterModule:
    """What to do about what was found."""

    def filters(self) -> dict[str, Any]:
        return {"monero_rpc_plan": monero_rpc_plan}
