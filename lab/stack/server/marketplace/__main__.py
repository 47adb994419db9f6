# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m marketplace serve | seed --orders N`: one clear line and exit status 1 where it cannot start."""

from __future__ import annotations

import argparse
import os
import sys

from .settings import SettingError, Settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="marketplace", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer requests until SIGTERM")
    seed = commands.add_parser("seed", help="create the database, once")
    seed.add_argument("--orders", type=int, default=50000)
    chosen = parser.parse_args()
    if chosen.command == "seed":
        from .seed import create

        return create(Settings.database(os.environ), chosen.orders)
    try:
        settings = Settings.read(os.environ)
    except SettingError as problem:
        print(f"marketplace: cannot start: {problem}", file=sys.stderr, flush=True)
        return 1
    from .serve import serve

    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
