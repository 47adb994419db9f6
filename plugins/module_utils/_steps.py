# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The steps of a repair. Each has a file of its name in roles/docker_health/tasks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    name: str
    sentence: str
    on_services: bool = True


# In this order: what lies below comes first, and what is gentlest comes before what costs a service its connections.
STEPS = (
    Step("remount", "make the disk writable again, the database copied first", on_services=False),
    Step("reopen_log", "have nginx close its deleted log and open a new one", on_services=False),
    Step("free_disk", "free disk space", on_services=False),
    Step("resume_docker", "let the Docker daemon go on (SIGCONT)", on_services=False),
    Step("stop_cleanly", "store every wallet, then stop the containers one after another, then look again", on_services=False),
    Step("restart_docker", "restart Docker, then look again", on_services=False),
    Step("start_docker", "start Docker, then look again", on_services=False),
    Step("remove_networks", "remove unused networks", on_services=False),
    Step("own", "give {services} back its files"),
    Step("unpause", "unpause {services}"),
    Step("resume", "let {services} go on (SIGCONT)"),
    Step("reconnect", "put {services} back on the network with all names"),
    Step("reload", "reload {services}"),
    Step("start", "start {services}"),
    Step("create", "create {services} from what is on this host"),
    Step("restart", "restart {services}"),
)
ORDER = tuple(step.name for step in STEPS)
ON_SERVICES = tuple(step.name for step in STEPS if step.on_services)
SENTENCES = {step.name: step.sentence for step in STEPS}

# After these a service is as fresh as it gets: doing it again in the same run helps nobody.
FRESH_STARTS = ("start", "create", "restart")
