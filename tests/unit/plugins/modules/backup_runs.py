# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module around backups, and what a host's timer starts, as they are run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from unit.plugins.archives import PASSPHRASE

Run = Callable[..., dict[str, Any]]


def answer_of(capsys: pytest.CaptureFixture[str]) -> Run:
    def answer(module: Any, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, **more}), pytest.raises(SystemExit):
            module.main()
        said = capsys.readouterr().out
        # Ansible's own echo of the arguments is censored by the argument spec; the rest has to be ours.
        assert PASSPHRASE not in said
        return dict(json.loads(said))

    return answer


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that notes what it is told, and knows whether a timer is on."""
    (folder / "bin").mkdir()
    log = folder / "systemctl.log"
    script = folder / "bin" / "systemctl"
    script.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\nfor unit in "$@"; do :; done\ncase "$1" in\n'
        f'enable) touch "{folder}/on.$unit";; disable) rm -f "{folder}/on.$unit";;\n'
        f'is-enabled) test -e "{folder}/on.$unit" && echo enabled || echo disabled;;\n'
        f'is-active) test -e "{folder}/on.$unit" && echo active || echo inactive;;\nesac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    return log


def timed(folder: Path, task: str = "wallets") -> subprocess.CompletedProcess[str]:
    """What the unit starts, in an environment that knows nothing of this collection."""
    unit = (folder / "units" / f"marketplace-backup-{task}.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2].split()
    assert command[0] == sys.executable
    return subprocess.run(
        [command[0], "-I", *command[1:]], capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )
