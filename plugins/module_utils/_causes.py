# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The table of causes: all that a diagnosis can name, the root first. docs/causes.md is made from it.

A new cause is one entry here, one function in the file of its topic, one drill.
"""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _causes_disk,
    _causes_engine,
    _causes_files,
    _causes_network,
    _causes_project,
    _causes_service,
    _causes_start,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import ROLLBACK_PAGE, STAYS_DOWN_PAGE, Cause

# Each of these may be found beside all others.
HOST_CAUSES = (
    Cause(
        "read-only-data",
        _causes_disk.read_only,
        means="a file system that services write to is mounted read-only; nothing in it need be damaged",
        evidence="the kernel's table of mounts, and its log where it says why",
        answer="with a confirmation the database set is copied to another disk and the file system is remounted writable; "
        "no file system is ever checked or mended",
        drill="outage-read-only-data",
    ),
    Cause(
        "deleted-open-file",
        _causes_disk.deleted_open,
        means="a deleted file is held open, so its room is not free though no folder shows it",
        evidence="process, descriptor, path and size in /proc, on a disk that is full",
        answer="the proxy opens its log afresh, without a restart; anything else may be the last copy of data: left to a person, "
        "with the command that rescues it",
        drill="outage-deleted-open-log",
    ),
    Cause(
        "disk-full",
        _causes_disk.disk_full,
        means="a file system has no room left",
        evidence="its share of blocks in use, and what could be freed",
        answer="oversized container logs are archived elsewhere and cut, then the build cache and nameless images go; "
        "the site's own data is left to a person",
        drill="outage-disk-full",
    ),
    Cause(
        "inodes-exhausted",
        _causes_disk.inodes_exhausted,
        means="a file system has room, but no inode left",
        evidence="its share of inodes in use, and the folder that holds most of them",
        answer="left to a person, who gets the folder and the command to look; logs are not touched, they are few",
        drill="outage-inodes-exhausted",
    ),
    Cause(
        "docker-killed",
        _causes_engine.docker_killed,
        means="the Docker daemon is gone, and containers live on without it",
        evidence="the result of docker.service, and the engine's own files against /proc; the socket is not asked, that would start the daemon",
        answer="with a confirmation: each wallet is stored, then each container is ended by pid, those that need others first, then "
        "Docker is started; nothing is killed, and what does not end in its time is left to a person",
        drill="outage-docker-killed",
    ),
    Cause(
        "docker-stopped",
        _causes_engine.docker_stopped,
        means="the Docker daemon does not run, and no container lives",
        evidence="the state of docker.service and its socket, which is not asked where that would start the daemon",
        answer="started",
        drill="outage-docker-stopped",
    ),
    Cause(
        "docker-hung",
        _causes_engine.docker_hung,
        means="the Docker daemon runs but does not answer",
        evidence="its state T in /proc, seen twice; else no answer to `docker info` within its time-out, twice",
        answer="one that a signal has halted gets SIGCONT, once; any other is left to a person: a restart would stop every container",
        drill="outage-docker-hung",
    ),
    Cause(
        "firewall-flushed",
        _causes_engine.firewall_flushed,
        means="the firewall rules that Docker made are gone, so published ports can be dead from outside",
        evidence="the chains of nat and filter, looked at twice",
        answer="with a confirmation: each wallet is stored, then each container is stopped, those that need others first, then Docker is "
        "restarted and the services are started",
        drill="outage-firewall-flushed",
    ),
    Cause(
        _causes_start.PORTS_KEPT,
        _causes_engine.ports_kept,
        means="the Docker daemon keeps published ports for a container that does not run: it was stopped while it started one",
        evidence="the kernel's tables of sockets: a docker-proxy that is a child of the running daemon, older than 30 seconds, on a port that "
        "no container publishes",
        answer="with a confirmation: each wallet is stored, then each container is stopped, those that need others first, then Docker is "
        "restarted and the services are started",
        drill="outage-ports-kept",
    ),
    Cause(
        "network-pool-exhausted",
        _causes_start.pool_exhausted,
        means="a network of the project is gone, and Docker has no subnet left to make it anew",
        evidence="the address pools of Docker against the subnets of all networks and the routes of the host",
        answer="with a confirmation as many networks as are needed are removed, of those on which no container is and which no "
        "Compose project made; else left to a person",
        drill="outage-network-pool-exhausted",
    ),
    Cause(
        "compose-broken",
        _causes_project.compose_broken,
        means="Compose cannot read the project: an edit that was left half done, as a rule",
        evidence="Compose's own words, with file, line and column as far as it tells them, and the last commit of that file",
        answer="left to a person; the running stack is left alone, and what only has to be started is started by the engine",
        drill="outage-compose-broken",
    ),
    Cause(
        "setting-missing",
        _causes_project.setting_missing,
        means="a setting or a file that the project requires is gone",
        evidence="the variable or file that Compose names; of secrets, that the file is not there",
        answer="left to a person, no value is invented; a container that still has its settings is started by the engine",
        drill="outage-env-missing",
    ),
)

# For each service the first one that applies is its cause.
SERVICE_CAUSES = (
    Cause(
        "paused",
        _causes_service.paused,
        means="a container is paused",
        evidence="its state, and whether an interrupted archive of this collection left it so",
        answer="unpaused where the pause was ours, else only with a confirmation: somebody may keep evidence",
        drill="outage-paused",
    ),
    Cause(
        "stopped-process",
        _causes_service.stopped_processes,
        means="a process in a container was halted by a signal",
        evidence="its state T in /proc",
        answer="SIGCONT, once",
        drill="outage-hung",
    ),
    Cause(
        "job-failed",
        _causes_service.job_failed,
        means="a job that others wait for has failed",
        evidence="its exit status, and that others depend on its success",
        answer="left to a person: it may have been half done",
        drill="",
        page=ROLLBACK_PAGE,
    ),
    Cause(
        "port-taken",
        _causes_start.port_taken,
        means="a service does not run, and somebody else listens on the port it is published on",
        evidence="the kernel's tables of sockets: which process, whose, since when",
        answer="left to a person, the holder named; the service is not started in vain",
        drill="outage-port-taken",
    ),
    Cause(
        "wrong-owner",
        _causes_files.wrong_owner,
        means="a service may not use files that it needs: their owner or mode is wrong",
        evidence="path, what is wanted and what was found, against the number of the container's user",
        answer="owner and mode of the database set and of the service's own folder are mended; of other files only with a confirmation",
        drill="outage-wrong-owner",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "secret-missing",
        _causes_project.secret_missing,
        means="a service is down, and a file that is mounted into it is gone",
        evidence="the file that is not there",
        answer="left to a person: a start would fail",
        drill="",
    ),
    Cause(
        "crash-loop",
        _causes_service.crash_loop,
        means="a service ends right after each start",
        evidence="its restarts, how long each run lasted, its last lines",
        answer="left to a person: another start mends nothing",
        drill="outage-crash-loop",
        page=ROLLBACK_PAGE,
    ),
    Cause(
        "restarting",
        _causes_service.restarting,
        means="Docker is about to start a service again",
        evidence="its state",
        answer="waited for",
        drill="",
    ),
    Cause(
        "image-missing",
        _causes_service.image_missing,
        means="a service has no container, and its image is not on the host",
        evidence="the images of the engine",
        answer="left to a person: nothing is built or pulled in an outage",
        drill="outage-image-missing",
        page=ROLLBACK_PAGE,
    ),
    Cause(
        "network-missing",
        _causes_start.network_missing,
        means="a service has no container, and its network cannot be made either",
        evidence="that of network-pool-exhausted",
        answer="left alone until there is a subnet",
        drill="outage-network-pool-exhausted",
    ),
    Cause(
        "container-missing",
        _causes_service.container_missing,
        means="a service has no container, or fewer than it should",
        evidence="the containers of the project",
        answer="created from the image that is there, without a build or a pull",
        drill="outage-stack-down",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "out-of-memory",
        _causes_service.out_of_memory,
        means="the kernel killed a service for memory",
        evidence="the kernel's own line that names the container's cgroup, from the time of this run",
        answer="started",
        drill="outage-out-of-memory",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "host-rebooted",
        _causes_engine.host_rebooted,
        means="a service went down with the host and was not to come back by itself",
        evidence="the start of process 1, when the container ended, and its restart policy",
        answer="started; the policy is left as it is",
        drill="outage-host-rebooted",
    ),
    Cause(
        "exited",
        _causes_service.exited,
        means="a service does not run",
        evidence="its exit status and when it ended",
        answer="started",
        drill="outage-containers-exited",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "off-network",
        _causes_network.off_network,
        means="a container runs, but is not on a network of its service",
        evidence="the networks of the container, and whether an interrupted run of this collection was about to put it back",
        answer="put back where the interrupted run was ours, else only with a confirmation: somebody may have isolated it",
        drill="outage-off-network",
    ),
    Cause(
        "dns-alias-lost",
        _causes_network.name_lost,
        means="a container is on its network without the name by which others look for it",
        evidence="the names of all containers on the network",
        answer="taken off and put back with its names; it is not restarted",
        drill="outage-dns-alias-lost",
    ),
    Cause(
        "stale-mount",
        _causes_files.stale_mount,
        means="a container was started while a disk was read-only and sees it so, though it is writable again",
        evidence="its own table of mounts against that of the host",
        answer="restarted once, its log kept; a wallet or monerod only with a confirmation",
        drill="outage-read-only-data",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "starting",
        _causes_service.starting,
        means="a service is coming up",
        evidence="its health check, which has not said yes yet",
        answer="waited for, as long as its start period or the deadline allows",
        drill="",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "unhealthy",
        _causes_service.unhealthy,
        means="a service runs, and its health check fails",
        evidence="what its health check says",
        answer="restarted once, its log kept; a wallet or monerod only with a confirmation",
        drill="outage-unhealthy",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "certificate-expired",
        _causes_project.certificate_expired,
        means="the certificate that the site serves has expired",
        evidence="its own dates, and those of the file that marketplace_certificate_path names",
        answer="left to a person until the file is renewed, then nginx is reloaded; nothing is restarted",
        drill="outage-certificate-expired",
    ),
    Cause(
        "certificate-refused",
        _causes_service.certificate_refused,
        means="the certificate of the site is refused for another reason than its age",
        evidence="the reason that TLS gives",
        answer="left to a person; nothing is restarted",
        drill="",
    ),
    Cause(
        "wrong-answer",
        _causes_service.wrong_answer,
        means="an endpoint answers, but not as a health endpoint does",
        evidence="its HTTP status",
        answer="left to a person: the address is probably wrong",
        drill="",
    ),
    Cause(
        "stale-upstream",
        _causes_network.stale_upstream,
        means="nginx goes on asking for the server at an address where it no longer is",
        evidence="502 or 504 in front, 200 behind, and the address nginx asks, or a server started later than nginx",
        answer="nginx reloaded, nothing restarted; if that does not help, nginx restarted once",
        drill="outage-nginx-stale-upstream",
    ),
    Cause(
        "port-dead",
        _causes_network.port_dead,
        means="a service is well inside and out of reach from the host",
        evidence="its health check against the endpoint's error",
        answer="left to a person: a restart is no cure",
        drill="",
    ),
    Cause(
        "not-serving",
        _causes_service.not_serving,
        means="a service runs, Docker sees nothing wrong, and users get no answer",
        evidence="the endpoint's answer",
        answer="restarted once, its log kept; a wallet or monerod only with a confirmation",
        drill="",
        page=STAYS_DOWN_PAGE,
    ),
    Cause(
        "coming-up",
        _causes_service.coming_up,
        means="a service without a health check was restarted by Docker a moment ago",
        evidence="its start time",
        answer="waited for",
        drill="",
    ),
)

PAGES = {cause.name: cause.page for cause in (*HOST_CAUSES, *SERVICE_CAUSES)}
