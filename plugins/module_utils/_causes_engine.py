# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes below every container: the Docker daemon."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good


def docker_stopped(view: View) -> Iterator[Finding]:
    if view.daemon["state"] != "stopped":
        return
    found = Finding(None, f"Docker is not running: {view.daemon['detail']}", evidence=_endpoints(view))
    if view.tried_on_host("start_docker"):
        found.escalate = "Docker was started in this run and is down again: `journalctl -u docker -n 50` on the host says why."
        yield found
        return
    living = view.daemon.get("live_containers")
    if living:
        # Unless live-restore was on, the daemon ends every survivor when it starts: wallets and database in mid-write.
        found.sentence += f", but {living} containers live on without it"
        found.confirm = f"start_docker:{living}-containers"
        found.reason = (
            "starting Docker stops them all: end server, wallets and monerod cleanly by pid first, see docs/outage.md"
        )
        if found.confirm not in view.site.confirm:
            yield found
            return
    else:
        found.reason = "without the daemon no container can run"
    found.do = "start_docker"
    yield found


def docker_hung(view: View) -> Iterator[Finding]:
    if view.daemon["state"] != "not_responding":
        return
    units = view.daemon["unit"]
    found = Finding(None, f"Docker does not answer: {view.daemon['detail']}", evidence=_endpoints(view))
    if units.get("docker") in ("activating", "reloading", "deactivating") and not view.site.patience_over:
        found.wait_for = f"docker.service, which is {units['docker']}"
    else:
        serving = [one for one in view.endpoints.values() if is_good(one)]
        alive = "the site still answers, and " if serving else ""
        found.escalate = (
            f"A Docker daemon that hangs is not restarted by itself: {alive}a restart would stop every container, wallets and database included. "
            "Look at `journalctl -u docker -n 100` and `systemctl status docker`."
        )
    yield found


def _endpoints(view: View) -> list[str]:
    return [endpoint_words(one) for one in view.endpoints.values() if not is_good(one)]
