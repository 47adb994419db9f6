# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and files: the cause, the smallest step, and who is left alone meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.plans import Looks, decide, doing, exit_now, roots, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_changes import changes

WALLET = "monero-wallet-rpc-buyer"


def fill(look: dict[str, Any], index: int = 0, blocks: float = 99.0, inodes: float = 10.0) -> dict[str, Any]:
    disk: dict[str, Any] = look["disk"][index]
    disk.update(used_percent=blocks, inodes_used_percent=inodes, available_bytes=10 << 20, size_bytes=2 << 30)
    return disk


def store(look: dict[str, Any], **facts: Any) -> dict[str, Any]:
    found: dict[str, Any] = look.setdefault("storage", {})
    found.update(facts)
    return found


def held(mount: str, **more: Any) -> dict[str, Any]:
    return {
        "mount": mount, "path": "/var/log/nginx/access.log", "bytes": 1 << 30, "pid": 41, "fd": 5, "command": "nginx",
        "container_id": "x", "service": "nginx", "appends": True, **more,
    }  # fmt: skip


def loop(look: dict[str, Any], name: str, ended: float) -> dict[str, Any]:
    one = service(look, name)
    one.update(
        state="restarting", health="unknown", exit_code=1, restart_count=9, started_at=utc(ended - 1), finished_at=utc(ended)
    )
    one["containers"][0]["state"] = "restarting"
    return one


@pytest.fixture
def healthy(recorded_look: Looks) -> dict[str, Any]:
    return recorded_look("healthy")


def test_the_crowded_folder_is_named_and_nothing_is_done(healthy: dict[str, Any]) -> None:
    disk = fill(healthy, blocks=30.0, inodes=100.0)
    folder = {"path": "/o/diff/var/x y", "entries": 117_806, "complete": True, "service": "nginx", "inside": "/var/x y"}
    store(healthy, crowded=[{"mount": disk["mount"], **folder}])
    decided = decide(healthy)
    assert roots(decided) == [("inodes-exhausted", None)] and doing(decided) == []
    sentence = decided["escalate"][0]["sentence"]
    assert (
        "/var/x y of nginx" in sentence and "`ls -U '/o/diff/var/x y' | head`" in sentence and "logs are left alone" in sentence
    )
    assert decided["causes"][0]["evidence"] == ["117806 files in /var/x y of nginx"]


def test_without_a_folder_the_command_that_finds_it(healthy: dict[str, Any]) -> None:
    fill(healthy, blocks=30.0, inodes=95.0)
    assert "du -x --inodes" in decide(healthy)["escalate"][0]["sentence"]


def test_the_proxys_deleted_log_is_reopened_and_is_the_whole_reason(healthy: dict[str, Any]) -> None:
    disk = fill(healthy)
    store(healthy, deleted=[held(disk["mount"])])
    decided = decide(healthy)
    assert roots(decided) == [("deleted-open-file", None)] and doing(decided) == ["reopen_log"]
    (told,) = decided["steps"][0]["details"]
    assert told["master"]["container_id"] == held(disk["mount"])["container_id"]
    for word in ("1.0 GiB", "/var/log/nginx/access.log", "pid 41", "fd 5", "nginx"):
        assert word in decided["causes"][0]["sentence"]


def test_a_deleted_log_that_explains_a_part_only(healthy: dict[str, Any]) -> None:
    disk = fill(healthy)
    store(healthy, deleted=[held(disk["mount"], bytes=100 << 20)])
    assert [name for name, _service in roots(decide(healthy))] == ["deleted-open-file", "disk-full"]


def test_nginx_needs_a_moment_and_is_asked_once(healthy: dict[str, Any]) -> None:
    disk = fill(healthy)
    store(healthy, deleted=[held(disk["mount"])])
    after = decide(healthy, tried=("reopen_log",))
    assert doing(after) == [] and not after["decided"] and not after["escalate"]
    assert decide(healthy, tried=("reopen_log",), patience_over=True)["escalate"]


@pytest.mark.parametrize(
    "more",
    [
        {"command": "python3", "service": "server", "path": "/data/marketplace.db"},
        {"appends": False},
        {"service": "other-nginx"},
        {"service": None},
    ],
)
def test_what_may_be_the_last_copy_is_neither_cut_nor_restarted(healthy: dict[str, Any], more: dict[str, Any]) -> None:
    disk = fill(healthy)
    healthy["disk"].append({**disk, "path": "/roomy", "mount": "/roomy", "available_bytes": 9 << 30, "used_percent": 1.0})
    store(healthy, deleted=[held(disk["mount"], **more)])
    decided = decide(healthy)
    assert doing(decided) == []
    said = decided["escalate"][0]["sentence"]
    assert "neither stop nor restart it" in said and "cp --sparse=always /proc/41/fd/5 /roomy/rescued-" in said


def test_a_path_from_outside_is_quoted(healthy: dict[str, Any]) -> None:
    disk = fill(healthy)
    store(healthy, deleted=[held(disk["mount"], command="x", path="/tmp/$(touch x)")])
    assert "'/a/disk/with/room/rescued-$(touch x)'" in decide(healthy)["escalate"][0]["sentence"]


def read_only(look: dict[str, Any], **more: Any) -> dict[str, Any]:
    one = {
        "mount": "/data", "source": "/dev/loop10", "kind": "ext4", "services": ["database", "server", "monerod"],
        "why": "EXT4-fs (loop10): re-mounted ro.", "database": ["/data/marketplace.db"], **more,
    }  # fmt: skip
    store(look, read_only=[one])
    return one


def test_a_read_only_disk_asks_and_leaves_everything_alone(healthy: dict[str, Any]) -> None:
    read_only(healthy)
    loop(healthy, "server", healthy["clock"] - 3)
    loop(healthy, "monerod", healthy["clock"] - 3)
    service(healthy, "database").update(health="unhealthy")
    for endpoint in healthy["endpoints"]:
        endpoint.update(status=502)
    decided = decide(healthy, careful=frozenset({"monerod"}))
    assert roots(decided) == [("read-only-data", None)]
    assert [one["what"] for one in decided["confirm"]] == ["remount:/data"]
    assert doing(decided) == [] and not decided["escalate"] and decided["decided"], "nobody waits for what cannot come"
    assert "need not be damaged" in decided["confirm"][0]["why"]
    assert decided["causes"][0]["evidence"] == ["kernel: EXT4-fs (loop10): re-mounted ro."]


def test_confirmed_it_is_remounted_with_the_database_copied_first(healthy: dict[str, Any]) -> None:
    read_only(healthy)
    decided = decide(healthy, confirm=frozenset({"remount:/data"}))
    assert doing(decided) == ["remount"]
    assert decided["steps"][0]["details"] == [{"mount": "/data", "files": ["/data/marketplace.db"]}]


def test_a_kernel_that_refuses_is_a_persons_matter(healthy: dict[str, Any]) -> None:
    read_only(healthy)
    decided = decide(healthy, tried=("remount",), confirm=frozenset({"remount:/data"}))
    assert doing(decided) == [] and "has to be checked by a person" in decided["escalate"][0]["sentence"]


def test_what_fell_over_before_the_mending_is_started_afresh_once(healthy: dict[str, Any]) -> None:
    ended = healthy["clock"] - 5
    loop(healthy, "server", ended)
    assert [one["cause"] for one in decide(healthy)["escalate"]] == ["crash-loop"]
    mended = decide(healthy, tried=("remount",), acted_at=ended + 1)
    assert doing(mended) == ["restart:server"] and not mended["escalate"]
    assert decide(healthy, tried=("remount",), acted_at=ended - 1)["escalate"], "it fell over again after that"
    assert decide(healthy, tried=("start:nginx",), acted_at=ended + 1)["escalate"], "that mended nothing of the server's"
    assert decide(healthy, tried=("remount", "restart:server"), acted_at=ended + 1)["escalate"]


def test_a_killed_run_has_mended_it(healthy: dict[str, Any]) -> None:
    loop(healthy, "server", healthy["clock"] - 5)
    store(healthy, mended=[{"service": "server", "at": healthy["clock"] - 30}])
    assert doing(decide(healthy)) == ["restart:server"]
    store(healthy, mended=[{"service": "database", "at": healthy["clock"] - 30}])
    assert decide(healthy)["escalate"]


def test_what_fell_over_for_want_of_room_is_started_afresh_where_there_is_room(healthy: dict[str, Any]) -> None:
    one = loop(healthy, "database", healthy["clock"] - 5)
    one["log"] = ["panic", "write /data/wal: no space left on device"]
    assert doing(decide(healthy)) == ["restart:database"]
    assert decide(healthy, tried=("restart:database",))["escalate"]
    data = fill(healthy, index=1)
    assert doing(decide(healthy)) == []
    store(healthy, users={data["mount"]: ["database"]})
    assert [cause["cause"] for cause in decide(healthy)["escalate"]] == ["disk-full"]


def test_a_container_that_still_sees_a_read_only_folder(healthy: dict[str, Any]) -> None:
    store(healthy, stale={"database": ["/data"], WALLET: ["/data/wallets/buyer"]})
    decided = decide(healthy, careful=frozenset({WALLET}))
    assert doing(decided) == ["restart:database"]
    assert [one["what"] for one in decided["confirm"]] == [f"restart:{WALLET}"]
    assert decide(healthy, tried=("restart:database",))["escalate"][0]["service"] == "database"


def closed(path: str = "/data/marketplace.db", **more: Any) -> dict[str, Any]:
    return {
        "path": path, "found": "0:0 0000", "wanted": "10001:10001 u+rw", "owner": 10001, "group": 10001, "mode": "u+rw",
        "needed": True, "others": [], **more,
    }  # fmt: skip


def test_the_owner_comes_before_the_crash_loop(healthy: dict[str, Any]) -> None:
    loop(healthy, "server", healthy["clock"] - 3)
    store(healthy, closed={"server": [closed()]})
    decided = decide(healthy)
    assert ("wrong-owner", "server") in roots(decided) and doing(decided) == ["own:server"] and not decided["escalate"]
    assert decided["steps"][0]["details"][0]["files"] == [
        {"path": "/data/marketplace.db", "owner": 10001, "group": 10001, "mode": "u+rw"}
    ]
    assert decided["causes"][0]["evidence"][0] == "/data/marketplace.db is 0:0 0000, wanted 10001:10001 u+rw"
    again = decide(healthy, tried=("own:server",))
    assert doing(again) == [] and "are wrong again" in again["escalate"][0]["sentence"]


def test_a_service_that_is_well_keeps_its_files_as_they_are(healthy: dict[str, Any]) -> None:
    store(healthy, closed={"server": [closed()]})
    assert decide(healthy)["causes"] == []


def test_a_killed_service_gets_its_files_first(healthy: dict[str, Any]) -> None:
    exit_now(healthy, "server", 137)
    store(healthy, closed={"server": [closed()]})
    assert doing(decide(healthy)) == ["own:server"]


def test_a_file_that_only_lies_beside_needs_a_complaint_and_a_confirmation(healthy: dict[str, Any]) -> None:
    one = loop(healthy, "server", healthy["clock"] - 3)
    store(healthy, closed={"server": [closed("/data/backup.gpg", needed=False)]})
    assert [cause["cause"] for cause in decide(healthy)["escalate"]] == ["crash-loop"]
    one["log"] = ["open /data/backup.gpg: Permission denied"]
    decided = decide(healthy)
    (asked,) = [ask["what"] for ask in decided["confirm"]]
    assert doing(decided) == [] and asked.startswith("own:server-")
    assert doing(decide(healthy, confirm=frozenset({asked}))) == ["own:server"]
    assert doing(decide(healthy, confirm=frozenset({"own:server"}))) == [], "a confirmation holds for the paths it was read for"


def test_files_that_two_users_share_are_a_persons_matter(healthy: dict[str, Any]) -> None:
    loop(healthy, "server", healthy["clock"] - 3)
    store(healthy, closed={"server": [closed(others=["archiver"])]})
    decided = decide(healthy)
    assert doing(decided) == [] and "archiver writes there too" in decided["escalate"][0]["sentence"]


def test_two_causes_are_both_named_the_disk_first(recorded_look: Looks) -> None:
    found = recorded_look("disk_full")
    exit_now(found, "server", 137)
    decided = decide(found)
    assert [name for name, _service in roots(decided)][:2] == ["disk-full", "exited"]
    assert doing(decided)[0] == "free_disk" and "start:server" in doing(decided)


def test_on_a_full_data_disk_nobody_is_restarted_in_vain(healthy: dict[str, Any]) -> None:
    data = fill(healthy, index=1)
    store(healthy, users={data["mount"]: ["server", "database"]})
    service(healthy, "server").update(health="unhealthy")
    for endpoint in healthy["endpoints"]:
        endpoint.update(status=503)
    decided = decide(healthy)
    assert roots(decided) == [("disk-full", None)] and doing(decided) == [] and decided["decided"]
    assert len(decided["escalate"]) == 1


def test_out_of_memory_will_come_again(healthy: dict[str, Any]) -> None:
    one = exit_now(healthy, "server", 137)
    one["memory_limit"] = 96 << 20
    one["out_of_memory"] = {"claimed": True, "evidence": "oom-kill:…", "flag": True, "kernel_asked": True}
    decided = decide(healthy)
    assert roots(decided) == [("out-of-memory", "server")] and doing(decided) == ["start:server"]
    assert decided["risks"] == ["server will run out of memory again: what it needs is more than its limit of 96 MiB"]


def test_what_was_done_to_disks_and_files_is_measured(recorded_look: Looks) -> None:
    before, after = recorded_look("healthy"), recorded_look("healthy")
    disk = fill(before)
    store(before, read_only=[{"mount": "/data"}], deleted=[held(disk["mount"])], closed={"server": [closed()]})
    assert changes(before, after)["did"][:3] == [
        "made /data writable again",
        "closed the deleted /var/log/nginx/access.log",
        "mended owner and mode of /data/marketplace.db",
    ]
    after["disk"][0]["available_bytes"] = disk["available_bytes"]
    assert "closed the deleted" not in " ".join(changes(before, after)["did"]), "no room came back, so it is held open still"
