# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan where names, addresses, ports or subnets are the matter."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.plans import Looks, decide, doing, exit_now, roots, service

NET = "marketplace_default"
ERROR = '2026/11/24 14:44:11 [error] 8#8: connect() failed (111) while connecting to upstream, upstream: "http://{}:8080/api/health"'
ACCESS = '172.19.0.1 "GET /api/health HTTP/1.1" 504 160 2.000 upstream={}:8080 "curl/7.88.1"'


def end(name: str, **more: Any) -> dict[str, Any]:
    return {
        "service": name, "container": f"marketplace-{name}-1", "network": NET, "attached": True, "address": "172.19.0.13",
        "names": [f"marketplace-{name}-1", name, "efc0c0266ebd"], "wanted_names": [name], "wanted_address": None,
        "left_by_us": False, **more,
    }  # fmt: skip


def network(look: dict[str, Any], *ends: dict[str, Any], **more: Any) -> dict[str, Any]:
    nginx = {"service": "nginx", "container_id": "d49d", "pid": 891, "options": ["-c", "/etc/n.conf"], "workers": [910]}
    look["network"] = {
        "attachments": list(ends), "nginx": [nginx], "holders": [], "names": [NET], "missing": [], "subnets": None, **more,
    }  # fmt: skip
    return look


def stale(look: dict[str, Any], line: str = "", status: int = 502) -> dict[str, Any]:
    look["endpoints"][1].update(status=status)
    service(look, "nginx")["log"] = [line]
    return network(look, end("server"))


@pytest.mark.parametrize("line", [ERROR, ACCESS])
@pytest.mark.parametrize("status", [502, 504])
def test_nginx_that_asks_at_an_old_address_is_reloaded_and_nothing_else(recorded_look: Looks, line: str, status: int) -> None:
    decided = decide(stale(recorded_look("healthy"), line.format("172.19.0.8"), status))
    assert roots(decided) == [("stale-upstream", "nginx")]
    assert doing(decided) == ["reload:nginx"]
    assert decided["causes"][0]["sentence"] == "nginx asks for server at 172.19.0.8, but it is at 172.19.0.13"
    assert decided["steps"][0]["details"] == [{"masters": [{"container_id": "d49d", "options": ["-c", "/etc/n.conf"]}]}]


def test_the_servers_address_is_no_stale_one(recorded_look: Looks) -> None:
    assert doing(decide(stale(recorded_look("healthy"), ERROR.format("172.19.0.13")))) == ["restart:nginx"]


def test_without_a_word_of_nginx_a_server_started_later_is_reason_enough(recorded_look: Looks) -> None:
    look = stale(recorded_look("healthy"))
    service(look, "nginx")["started_at"] = "2026-11-24T00:00:00Z"
    service(look, "server")["started_at"] = "2026-11-24T00:00:01Z"
    assert doing(decide(look)) == ["reload:nginx"]
    # So long as nginx may find out by itself, it is given the time.
    service(look, "server")["started_at"] = look["taken_at"]
    assert not decide(look)["decided"]
    assert doing(decide(look, patience_over=True)) == ["reload:nginx"]


def test_a_reload_that_did_not_help_is_followed_by_one_restart(recorded_look: Looks) -> None:
    look = stale(recorded_look("healthy"), ERROR.format("172.19.0.8"))
    waiting = decide(look, tried=("reload:nginx",), acted_at=look["clock"] - 1)
    assert (doing(waiting), waiting["decided"]) == ([], False)
    assert doing(decide(look, tried=("reload:nginx",), acted_at=look["clock"] - 60)) == ["restart:nginx"]


def test_a_proxy_that_is_no_nginx_is_restarted(recorded_look: Looks) -> None:
    look = stale(recorded_look("healthy"), ERROR.format("172.19.0.8"))
    look["network"]["nginx"] = []
    assert doing(decide(look)) == ["restart:nginx"]
    look["network"] = None
    assert doing(decide(look)) == ["restart:nginx"]


def test_an_old_address_is_not_looked_for_while_the_server_is_down(recorded_look: Looks) -> None:
    look = stale(recorded_look("healthy"), ERROR.format("172.19.0.8"))
    look["endpoints"][0].update(status=503)
    assert "reload:nginx" not in doing(decide(look))


def test_a_lost_name_is_the_root_and_is_given_back(recorded_look: Looks) -> None:
    look = stale(recorded_look("healthy"), ERROR.format("172.19.0.8"))
    lost = end("server", names=["marketplace-server-1", "efc0"], wanted_address="172.19.0.13", wanted_names=["server", "shop"])
    network(look, lost, end("nginx", address="172.19.0.3"))
    decided = decide(look)
    assert roots(decided) == [("dns-alias-lost", "server")]
    assert "the name server and shop is found by nobody on network marketplace_default" in decided["causes"][0]["sentence"]
    assert "server works at 172.19.0.13" in decided["causes"][0]["evidence"]
    assert doing(decided) == ["reconnect:server"]
    assert decided["steps"][0]["details"] == [
        {
            "ends": [
                {
                    "container": "marketplace-server-1", "network": NET, "attached": True,
                    "names": ["marketplace-server-1", "server", "shop"], "address": "172.19.0.13",
                }
            ]
        }
    ]  # fmt: skip


def test_a_name_that_another_container_answers_to_is_not_lost(recorded_look: Looks) -> None:
    look = network(recorded_look("healthy"), end("server", names=["marketplace-server-1"]), end("server"))
    assert decide(look)["settled"]


def test_a_name_lost_again_is_escalated(recorded_look: Looks) -> None:
    look = network(recorded_look("healthy"), end("server", names=["x"]))
    decided = decide(look, tried=("reconnect:server",))
    assert doing(decided) == []
    assert "has lost them again" in decided["escalate"][0]["sentence"]


def test_a_container_on_no_network_is_put_back_only_where_that_was_our_doing(recorded_look: Looks) -> None:
    look = network(recorded_look("healthy"), end("server", attached=False, names=[], address=None))
    asked = decide(look)
    assert roots(asked) == [("off-network", "server")]
    assert doing(asked) == []
    assert [(one["what"], one["given"]) for one in asked["confirm"]] == [("reconnect:server", False)]
    assert doing(decide(look, confirm=frozenset({"reconnect:server"}))) == ["reconnect:server"]
    look["network"]["attachments"][0]["left_by_us"] = True
    ours = decide(look)
    assert doing(ours) == ["reconnect:server"]
    assert ours["steps"][0]["details"][0]["ends"][0]["attached"] is False
    assert decide(look, tried=("reconnect:server",))["escalate"]


def holder(**more: Any) -> dict[str, Any]:
    return {
        "service": "server", "address": "0.0.0.0", "port": 8080, "protocol": "tcp", "pid": 13175, "command": "python3",
        "user": "nobody", "since": "2026-11-24T14:51:41Z", "unit": "file-share.service", "container_id": None,
        "proxy": False, "publisher": None, "publishers_known": True,
        "parent": 1, "kept_by_engine": False, **more,
    }  # fmt: skip


def taken(look: dict[str, Any], **more: Any) -> dict[str, Any]:
    exit_now(look, "server")
    look["endpoints"][0].update(status=404)
    look["endpoints"][1].update(status=502)
    return network(look, holders=[holder(**more)])


def test_a_service_whose_port_is_taken_is_not_started_in_vain(recorded_look: Looks) -> None:
    decided = decide(taken(recorded_look("healthy")))
    assert roots(decided) == [("port-taken", "server")]
    assert doing(decided) == []
    assert (
        "python3 (pid 13175, user nobody, file-share.service, since 14:51:41 UTC) listens on its port 8080/tcp"
        in (decided["causes"][0]["sentence"])
    )
    assert "ss -ltnp 'sport = :8080'" in decided["escalate"][0]["sentence"]
    assert decided["hopeless"] == ["server", "nginx"]


@pytest.mark.parametrize(
    ("facts", "said", "todo"),
    [
        ({"publisher": "shop-web-1"}, "container shop-web-1 by docker-proxy (pid 7", "stop container shop-web-1"),
        ({}, "docker-proxy, left behind by a Docker daemon that died (pid 7", "`kill 7`"),
        ({"publishers_known": False}, "docker-proxy (pid 7", "Find out who started it"),
        ({"parent": 700}, "docker-proxy (pid 7", "Find out who started it"),
    ],
)
def test_a_proxy_of_the_engine_has_words_of_its_own(recorded_look: Looks, facts: dict[str, Any], said: str, todo: str) -> None:
    look = taken(recorded_look("healthy"), **{"command": "docker-proxy", "pid": 7, "proxy": True, **facts})
    decided = decide(look)
    assert said in decided["causes"][0]["sentence"]
    assert todo in decided["escalate"][0]["sentence"]


def test_a_holder_that_nobody_can_see_is_not_made_up(recorded_look: Looks) -> None:
    decided = decide(taken(recorded_look("healthy"), pid=None, command=None, user=None, since=None, unit=None))
    assert "a process that is not shown listens on its port 8080/tcp" in decided["causes"][0]["sentence"]


def test_a_service_that_is_restarted_meets_its_own_proxy(recorded_look: Looks) -> None:
    look = taken(recorded_look("healthy"), command="docker-proxy", pid=7, proxy=True)
    next(one for one in look["services"] if one["name"] == "server").update(state="restarting", restart_count=3)
    assert "port-taken" not in [cause for cause, _service in roots(decide(look))]
    look["network"]["holders"] = [holder()]
    assert ("port-taken", "server") in roots(decide(look))


def test_a_udp_port_is_looked_at_as_one(recorded_look: Looks) -> None:
    decided = decide(taken(recorded_look("healthy"), protocol="udp", port=53))
    assert "ss -lunp 'sport = :53'" in decided["escalate"][0]["sentence"]


def exhausted(look: dict[str, Any], *unused: str, **more: Any) -> dict[str, Any]:
    subnets = {
        "needed": 1, "free": 0, "networks": 32, "unused": [{"name": name, "id": f"id-{name}"} for name in unused],
        "unused_of_projects": [], **more,
    }  # fmt: skip
    return network(look, names=["bridge"], missing=[NET], subnets=subnets)


def test_without_a_subnet_nothing_is_created_before_somebody_agrees(recorded_look: Looks) -> None:
    look = exhausted(recorded_look("stack_down"), "ci-1", "ci-2")
    asked = decide(look)
    assert roots(asked) == [("network-pool-exhausted", None)]
    assert "no subnet left for network marketplace_default" in asked["causes"][0]["sentence"]
    assert doing(asked) == []
    assert [(one["what"], one["given"]) for one in asked["confirm"]] == [("remove_networks:ci-1", False)]
    assert "ci-1," in asked["confirm"][0]["why"] and "ci-2" not in asked["confirm"][0]["why"]
    agreed = decide(look, confirm=frozenset({"remove_networks:ci-1"}))
    assert doing(agreed)[0] == "remove_networks"
    assert doing(agreed)[1].startswith("create:")
    assert agreed["steps"][0]["details"] == [{"networks": [{"name": "ci-1", "id": "id-ci-1"}]}]


def test_no_network_of_somebodys_project_is_removed(recorded_look: Looks) -> None:
    decided = decide(exhausted(recorded_look("stack_down"), unused_of_projects=["shop_default"]))
    assert doing(decided) == [] and decided["confirm"] == []
    assert "shop_default have no container, but belong to Compose projects" in decided["escalate"][0]["sentence"]


def test_no_subnet_even_after_the_removal_is_escalated(recorded_look: Looks) -> None:
    decided = decide(exhausted(recorded_look("stack_down"), "ci-1"), tried=("remove_networks",))
    assert doing(decided) == []
    assert "there is still no subnet" in decided["escalate"][0]["sentence"]


def test_one_free_subnet_is_enough(recorded_look: Looks) -> None:
    decided = decide(exhausted(recorded_look("stack_down"), "ci-1", free=1))
    assert doing(decided)[0].startswith("create:")
