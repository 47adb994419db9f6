# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of faults: what each asks of outage.yml and of triage.yml."""

from __future__ import annotations

from dataclasses import dataclass

NOBODY: frozenset[str] = frozenset()
EVERYBODY = frozenset(
    {
        "server", "nginx", "database", "monerod", "monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor", "monero-wallet-rpc-arbiter",
        "prometheus", "alertmanager", "blackbox-exporter", "node-exporter",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What a fault asks of the playbook."""

    name: str
    pool: str = "rotated"
    mends: bool = True
    # How a run ends that does not mend.
    outcome: str = "escalated"
    # Words of the true cause that the summary must hold.
    cause: tuple[str, ...] = ()
    # Words of causes that it is not, however alike they look.
    never: tuple[str, ...] = ()
    # Whether users are served after a run that still needs a person.
    serves: bool = False
    confirm: str = ""
    # Services it harms, though the engine may still call them healthy.
    harms: frozenset[str] = frozenset({"server"})
    # Containers that the engine itself restarts, with or without us.
    restless: frozenset[str] = NOBODY
    # The playbook that mends it, and the one that triage.yml proposes.
    playbook: str = "outage"
    triage: str = "outage"
    # Whether it is of the first severity however well customers are served: data at stake, or funds that too few wallets can move.
    grave: bool = False
    # Whether what the host can see of the site is what its customers see.
    seen_from_host: bool = True


FAULTS = (
    Fault("containers-exited", pool="main", cause=("server", "nginx", "137")),
    Fault("stack-down", pool="often", cause=("server",), harms=EVERYBODY),
    Fault("docker-stopped", pool="often", cause=("Docker",), harms=EVERYBODY),
    Fault(
        "docker-killed",
        pool="often",
        cause=("Docker was killed", "11 containers live on", "signing round"),
        confirm="start_docker:11-containers",
        harms=EVERYBODY,
        # The kernel goes on to forward what comes from outside; what answers the host itself died with the daemon.
        seen_from_host=False,
    ),
    Fault(
        "docker-hung",
        cause=("Docker does not answer", "halted by a signal"),
        harms=NOBODY,
        # Names inside the containers die with it: the site answers, and its server soon reaches no wallet and the probe no site.
        seen_from_host=False,
    ),
    Fault(
        "firewall-flushed",
        pool="often",
        cause=("firewall rules", "signing round"),
        confirm="restart_docker:11-containers",
        harms=EVERYBODY,
        # The other way round: on the host a proxy of Docker still answers.
        seen_from_host=False,
    ),
    Fault(
        "ports-kept",
        cause=("Docker keeps", "443/tcp", "of nginx for a container that it does not run", "signing round"),
        never=("left behind by",),
        confirm="restart_docker:10-containers",
        harms=EVERYBODY,
    ),
    Fault(
        "host-rebooted",
        cause=("the host was rebooted at", "server and nginx", "restart policy no"),
        harms=frozenset({"server", "nginx"}),
    ),
    Fault("unhealthy", cause=("server", "503")),
    Fault("hung", cause=("server",)),
    Fault("disk-full", pool="often", cause=("/var/lib/docker",), harms=NOBODY),
    Fault("crash-loop", pool="often", mends=False, cause=("server",), restless=frozenset({"server"})),
    Fault("paused", cause=("server", "paused"), confirm="unpause:server"),
    Fault("image-missing", mends=False, cause=("server", "image")),
    Fault("nginx-stale-upstream", pool="often", cause=("nginx asks for server at",), harms=NOBODY),
    Fault("dns-alias-lost", cause=("the name server is found by nobody",), harms=NOBODY),
    Fault("off-network", cause=("server runs but is not on network",), confirm="reconnect:server", harms=NOBODY),
    Fault("port-taken", mends=False, cause=("server", "python3", "file-share.service", "8080")),
    Fault("network-pool-exhausted", cause=("no subnet left",), confirm="remove_networks:ci-leftover-1", harms=EVERYBODY),
    Fault("killed", cause=("server", "137"), never=("memory",)),
    Fault("out-of-memory", cause=("server", "memory", "oom_memcg", "limit")),
    Fault("inodes-exhausted", mends=False, serves=True, cause=("inodes", "/var/lib/nginx/body"), harms=NOBODY),
    Fault("deleted-open-log", cause=("deleted /var/log/nginx/access.log", "nginx"), harms=NOBODY),
    Fault("two-causes", pool="often", cause=("/var/lib/docker", "server", "137")),
    Fault(
        "wrong-owner",
        cause=("/data/marketplace.db", "wanted 10001:10001"),
        never=("corrupt",),
        harms=frozenset({"server", "database"}),
        restless=frozenset({"server"}),
    ),
    Fault(
        "read-only-data",
        pool="often",
        cause=("/data is mounted read-only",),
        never=("corrupt",),
        confirm="remount:/data",
        harms=frozenset({"server", "database", "monerod", "prometheus"}),
        restless=frozenset({"server", "monerod", "prometheus"}),
    ),
    Fault(
        "compose-broken",
        pool="often",
        mends=False,
        serves=True,
        cause=("docker-compose.yml", "line 109, column 5", "server", "137"),
    ),
    Fault("env-missing", mends=False, serves=True, cause=("SESSION_KEY", ".env", "server", "137"), never=("<redacted>",)),
    Fault("certificate-expired", mends=False, cause=("certificate", "it was valid until", "nginx"), harms=NOBODY),
    Fault("clock-skewed", mends=False, outcome="held", cause=("ahead of the controller's",)),
    Fault(
        "prometheus-down",
        pool="often",
        mends=False,
        serves=True,
        cause=("prometheus", "server", "137", "scrape_config"),
        never=("0.0 %",),
        harms=frozenset({"server", "prometheus"}),
        restless=frozenset({"prometheus"}),
    ),
    Fault("slow-start", cause=("server", "137")),
)
