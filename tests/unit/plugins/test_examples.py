# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows works: each example of a module is run in check mode, against programs that answer on this machine.

Where an example needs what is not here (a lease, a file of the site) it ends in the module's own sentence, never in a crash.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args
from unit.plugins.rpc_server import recorded_rpc, serving

PROJECT = Path(__file__).resolve().parents[3]
COLLECTION = "monero_marketplace.incident"
MODULES = sorted(path.stem for path in (PROJECT / "plugins/modules").glob("*.py"))


def loaded(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{name}")


def tasks(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load(loaded(name).EXAMPLES))


EXAMPLES = [
    pytest.param(name, task[f"{COLLECTION}.{name}"], id=f"{name}: {task['name']}")
    for name in MODULES
    for task in tasks(name)
    if f"{COLLECTION}.{name}" in task
]


LOOKING = ("http_probe", "prometheus_query")


class SpecError(Exception):
    """Carries what a module hands to AnsibleModule."""


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def stop(_self: Any, **given: Any) -> None:
        raise SpecError(given)

    with monkeypatch.context() as patched, pytest.raises(SpecError) as told:
        patched.setattr(AnsibleModule, "__init__", stop)
        loaded(name).main()
    return dict(told.value.args[0])


def filled(value: Any, spec: dict[str, Any], name: str = "") -> Any:
    """An example with something of the right type in place of each expression."""
    if isinstance(value, str) and "{{" in value:
        if name.endswith("url") or name == "project_dir":
            return "http://127.0.0.1" if name.endswith("url") else "/opt/marketplace/4.5/docker"
        stands_for: dict[str, Any] = {"list": [], "dict": {}, "int": 1, "float": 1.0, "bool": True}
        choices = spec.get("choices")
        return choices[0] if choices else stands_for.get(spec.get("type", "str"), "x")
    if isinstance(value, dict):
        options = spec.get("options") or {}
        return {key: filled(one, options.get(key, {}), key) for key, one in value.items()}
    if isinstance(value, list):
        inner = {"type": spec.get("elements", "str"), "options": spec.get("options")}
        return [filled(one, inner) for one in value]
    return value


def arguments(task: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {key: filled(value, spec["argument_spec"].get(key, {}), key) for key, value in task.items()}


def test_every_module_has_examples() -> None:
    assert {example.values[0] for example in EXAMPLES} == set(MODULES)


@pytest.mark.parametrize(("name", "task"), EXAMPLES)
def test_an_example_names_only_options_that_exist(monkeypatch: pytest.MonkeyPatch, name: str, task: dict[str, Any]) -> None:
    spec = spec_of(name, monkeypatch)
    rules = {
        key: spec.get(key)
        for key in ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
    }
    checked = ArgumentSpecValidator(spec["argument_spec"], **rules).validate(arguments(task, spec))
    assert checked.error_messages == []


def elsewhere(value: Any, url: str, folder: Path) -> Any:
    """Addresses and paths of the site, replaced by what this test has."""
    if isinstance(value, str):
        if value.startswith(("http://", "https://")):
            return url
        return str(folder) + value if value.startswith("/") else value
    if isinstance(value, dict):
        return {key: elsewhere(one, url, folder) for key, one in value.items()}
    return [elsewhere(one, url, folder) for one in value] if isinstance(value, list) else value


@pytest.fixture
def site_folder(tmp_path: Path, project_dir: str) -> Path:
    """The folders that the examples name, below one of this test's."""
    docker = tmp_path / "opt/marketplace/4.5/docker"
    docker.parent.mkdir(parents=True)
    docker.symlink_to(project_dir)
    for role in ("buyer", "vendor", "arbiter"):
        wallet = tmp_path / "data/wallets" / role / "escrow_1"
        wallet.parent.mkdir(parents=True)
        wallet.write_text("cache")
        wallet.with_name("escrow_1.keys").write_text("keys")
    (tmp_path / "data/marketplace.db").write_text("")
    (tmp_path / "backups").mkdir()
    return tmp_path


@pytest.mark.parametrize(("name", "task"), EXAMPLES)
def test_an_example_ends_in_an_answer(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: Any,
    site_folder: Path,
    name: str,
    task: dict[str, Any],
) -> None:
    answers = {**recorded_rpc("ready"), **recorded_rpc("daemon"), "store": {}, "open_wallet": {}, "close_wallet": {}}
    spec = spec_of(name, monkeypatch)
    monkeypatch.setattr(AnsibleModule, "log", lambda *_line, **_more: None)
    with serving(answers) as server:
        given = elsewhere(arguments(task, spec), server.url, site_folder)
        if "interval" in spec["argument_spec"]:
            given["interval"] = 0.01  # how often is asked, not how long is waited for it, is what is shown
        with patch_module_args({**given, "_ansible_check_mode": True}), pytest.raises(SystemExit):
            loaded(name).main()
    found = json.loads(capsys.readouterr().out)
    # What only looks has all that it needs here; what acts may miss the containers of the site.
    assert not (found.get("failed") and (name.endswith("_info") or name in LOOKING)), found["msg"]
    assert found.get("good") in (None, True)
    if found.get("failed"):
        assert found["msg"].strip() and "\n" not in found["msg"] and "Traceback" not in json.dumps(found)
