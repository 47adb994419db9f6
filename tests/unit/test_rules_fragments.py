# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules have in common is documented once."""

from __future__ import annotations

from rules.collection import project_files


def test_each_acting_module_shares_the_documentation_of_its_guard() -> None:
    acting = {path.name: path.read_text(encoding="utf-8") for path in project_files("plugins/modules/*.py")}
    acting = {name: text for name, text in acting.items() if "acting(" in text}
    assert acting
    assert [name for name, text in acting.items() if "  - monero_marketplace.incident.guarded\n" not in text] == []
    assert [name for name, text in acting.items() if "description: Where the lease lies." in text] == []
