# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, said to a person."""


class LabError(Exception):
    """One sentence: what is wrong, and the next command. Shown without a traceback."""
