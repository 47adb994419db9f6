# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/causes.md, from the table of causes: what script/docs writes and a unit test compares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BEGINNING = """\
# What a diagnosis can name

Made by `script/docs` from the tables in `plugins/module_utils/_causes.py` and `_wallet_causes.py`; do not edit it here.

Every playbook that repairs looks first and names causes in this order, the root first. What is only the consequence of
something deeper is left alone until that is mended. Steps are taken one at a time, with a look after each. A cause is
named only with its evidence; what nobody measured is said as unknown. Each drill breaks a real marketplace that way.
"""
WALLETS = """\
By `playbooks/monero_rpc.yml`. The first that applies. While the daemon is down or silent, wallets that miss it are left alone."""
DATABASE = """\
By `playbooks/database.yml`, which restores nothing. The first that applies; where one does, nothing is restarted or ended."""
USE = "Each that applies. What is only sick because of a lock is left alone until the lock is gone."
HEADING = "\n| cause | it means | known from | what is done | drill |\n|---|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    from ansible_collections.monero_marketplace.incident.plugins.module_utils import _causes, _database_causes, _wallet_causes

    return (
        f"{BEGINNING}\n## Of the host\n\nSeveral may be found at once.\n{HEADING}{rows(_causes.HOST_CAUSES)}"
        f"\n## Of a service\n\nThe first that applies is its cause.\n{HEADING}{rows(_causes.SERVICE_CAUSES)}"
        f"\n## Of the Monero daemon\n\n{WALLETS}\n{HEADING}{rows(_wallet_causes.DAEMON_CAUSES)}"
        f"\n## Of a wallet RPC\n\nThe first that applies is its cause.\n{HEADING}{rows(_wallet_causes.WALLET_CAUSES)}"
        f"\n## Of the database's files\n\n{DATABASE}\n{HEADING}{rows(_database_causes.FILE_CAUSES)}"
        f"\n## Of who uses the database\n\n{USE}\n{HEADING}{rows(_database_causes.USE_CAUSES)}"
    )


def rows(causes: Iterable[Any]) -> str:
    """One line for each cause."""
    return "".join(
        f"| [`{one.name}`]({one.page.removeprefix('docs/')}) | {one.means} | {one.evidence} | {one.answer} "
        f"| {f'`{one.drill}`' if one.drill else 'unit tests'} |\n"
        for one in causes
    )


if __name__ == "__main__":
    print(page(), end="")
