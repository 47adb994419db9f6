# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What Compose said about files it cannot read, as facts: which kind, which file, where in it. Pure functions."""

from __future__ import annotations

import os
import re
from typing import Any, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import compose_words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

_VARIABLE = re.compile(r"required variable (\w+) is missing a value(?:: *(.*))?", re.DOTALL)
_USED_BY = re.compile(r"interpolating ([\w.\[\]-]+)")
_MISSING = re.compile(r"(?:env file (?P<env>\S+) not found|(?:stat|open) (?P<path>\S+): no such file or directory)")
# "at L48.C3-L106.C4": where the part begins that could not be read, and where reading ended.
_SPAN = re.compile(r"at L(\d+)(?:\.C(\d+))?(?:-(?:L(\d+))?(?:\.?C(\d+))?)?: (.*)", re.DOTALL)
_LINE = re.compile(r"line (\d+)(?:,? column (\d+))?: (?!line \d)(.*)", re.DOTALL)
_NAMED_FILE = re.compile(r"(?:failed to (?:read|parse)|parsing|validating) (/\S+?):")
_VALUE = re.compile(r"`[^`]*`?")
_QUOTED = re.compile(r"\"[^\"]*\"?|'[^']*'?")


def problem_of(err: bytes, directory: str, files: Sequence[str]) -> dict[str, Any]:
    """kind: missing_variable, missing_file, syntax or invalid; what Compose did not tell is null. No value of a setting is shown."""
    said = " ".join(compose_words(err).split())
    found: dict[str, Any] = {
        "kind": "invalid",
        "readable": False,
        "sentence": "",
        "file": files[0] if len(files) == 1 else None,
        "line": None,
        "column": None,
        "variable": None,
        "services": [],
    }
    named = _NAMED_FILE.search(said)
    if named:
        found["file"] = named.group(1)
    variable, missing = _VARIABLE.search(said), _MISSING.search(said)
    if variable:
        _missing_variable(found, variable, said)
    elif missing:
        path = os.path.join(directory, missing.group("env") or missing.group("path"))
        wanted_by = f", and {_short(found['file'], directory)} names it" if found["file"] else ""
        found.update(kind="missing_file", file=path, sentence=f"{_short(path, directory)} does not exist{wanted_by}")
    elif not _syntax(found, said, directory, files):
        found["sentence"] = f"{_files(found, directory, files)} is refused: {_shown(said, found['file'])}"
    found["sentence"] = clean_line(found["sentence"].strip(), 400)
    return found


def _missing_variable(found: dict[str, Any], said: re.Match[str], whole: str) -> None:
    used = _USED_BY.search(whole)
    where = f" for {used.group(1)}" if used else ""
    # The author of the file wrote it for this moment.
    hint = f": {said.group(2).strip()}" if said.group(2) else ""
    found.update(kind="missing_variable", variable=said.group(1), file=None)
    if used and used.group(1).startswith("services."):
        found["services"] = [used.group(1).split(".")[1]]
    found["sentence"] = f"the setting {said.group(1)} has no value, and is required{where}{hint}"


def _syntax(found: dict[str, Any], said: str, directory: str, files: Sequence[str]) -> bool:
    span, line = _SPAN.search(said), None
    begun = ""
    if span:
        first, column, last, last_column, what = span.groups()
        at, at_column = last or first, last_column or column
        if last and last != first:
            begun = f", in what begins at line {first}"
    else:
        line = _LINE.search(said)
        if not line:
            return False
        at, at_column, what = line.groups()
    found.update(kind="syntax", line=int(at), column=int(at_column) if at_column else None)
    place = f"line {at}, column {at_column}" if at_column else f"line {at}"
    found["sentence"] = f"{_files(found, directory, files)} cannot be read at {place}: {_shown(what, found['file'])}{begun}"
    return True


def _shown(words: str, file: str | None) -> str:
    """Without what may be the value of a setting: all that is quoted, where the file holds nothing but settings."""
    words = _VALUE.sub("…", words)
    return _QUOTED.sub("…", words) if file is None or os.path.basename(file).startswith(".env") else words


def _files(found: dict[str, Any], directory: str, files: Sequence[str]) -> str:
    if found["file"]:
        return _short(found["file"], directory)
    return f"one of {', '.join(_short(one, directory) for one in files)}" if files else "the Compose file"


def _short(path: str, directory: str) -> str:
    inside = os.path.relpath(path, directory) if os.path.isabs(path) else path
    return clean_line(path if inside.startswith("..") else inside, 200)


def absent_files(wanted: dict[str, list[str]], directory: str) -> dict[str, Any] | None:
    """Secrets and configurations that the project mounts from files which are not there: Compose itself says nothing of them."""
    absent = sorted(path for path in wanted if not os.path.exists(path))
    if not absent:
        return None
    services = sorted({service for path in absent for service in wanted[path]})
    names = ", ".join(_short(path, directory) for path in absent[:3])
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    several = len(absent) > 1
    return {
        "kind": "missing_file",
        "readable": True,
        "sentence": f"{names}{more} {'do' if several else 'does'} not exist, and {', '.join(services)} cannot start without "
        f"{'them' if several else 'it'}",
        "file": absent[0],
        "line": None,
        "column": None,
        "variable": None,
        "services": services,
    }
