# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests import the collection by its real name, as Ansible does, from this very checkout."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

PROJECT = Path(__file__).resolve().parents[2]

init_plugin_loader([str(PROJECT / ".collections")])
