# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a wallet RPC's version says. It is the version of its interface: several releases share one, and it never names the release."""

from __future__ import annotations

# Interface to the releases that answer so.
RELEASES = {
    (1, 25): "0.18.0.0",
    (1, 26): "0.18.2.2-0.18.3.1",
    (1, 27): "0.18.3.4",
    (1, 28): "0.18.4.0",
    (1, 29): "0.18.4.1-0.18.4.4",
    (1, 31): "0.18.5.1",
}
# From this one on a wallet that refreshes still answers get_version.
ANSWERS_WHILE_BUSY = (1, 29)


def interface(version: object) -> tuple[int, int] | None:
    """The two numbers that get_version packs into one."""
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < 2**31:
        return None
    return version >> 16, version & 0xFFFF


def words(pair: tuple[int, int] | None) -> str | None:
    return None if pair is None else f"{pair[0]}.{pair[1]}"


def pair_of(version: object) -> tuple[int, int] | None:
    """The two numbers of its words."""
    major, _dot, minor = str(version or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def release(pair: tuple[int, int] | None) -> str | None:
    """The releases with that interface; between two known ones, where it lies; null where nothing is known."""
    if pair is None:
        return None
    if pair in RELEASES:
        return RELEASES[pair]
    older = [known for known in RELEASES if known < pair]
    newer = [known for known in RELEASES if known > pair]
    if older and newer:
        return f"after {RELEASES[max(older)].rpartition('-')[2]}, before {RELEASES[min(newer)].partition('-')[0]}"
    return f"after {RELEASES[max(older)].rpartition('-')[2]}" if older else f"before {RELEASES[min(newer)].partition('-')[0]}"


def answers_while_busy(pair: tuple[int, int] | None) -> bool:
    return pair is not None and pair >= ANSWERS_WHILE_BUSY


def advice(pair: tuple[int, int] | None) -> str | None:
    """What is worth to be said of a wallet that is busy."""
    if answers_while_busy(pair):
        return None
    return "before release 0.18.4.1 a wallet that refreshes answers nothing at all: plan the upgrade"
