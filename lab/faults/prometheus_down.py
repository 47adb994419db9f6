# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus refuses a configuration that somebody damaged, and the server was killed: nobody counts errors any more."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR

SUMMARY = "the site says 502: the server was killed, and Prometheus refuses its configuration and is started again and again"


def break_(lab: Lab) -> None:
    prometheus = container_of(lab, "prometheus")
    lab.run(["sed", "--in-place", "s/^scrape_configs:/scrape_config:/", f"{COMPOSE_DIR}/prometheus/prometheus.yml"], check=True)
    lab.docker(["restart", "--time", "5", prometheus], check=True)
    lab.docker(["kill", container_of(lab, "server")], check=True)
    must_show("no answer from Prometheus", lambda: lab.get("prometheus", "/-/ready")[0] is None)
    must_show("Prometheus that was started at least three times", lambda: _restarts(lab, prometheus) >= 2)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def _restarts(lab: Lab, container: str) -> int:
    return int(lab.docker(["inspect", "--format", "{{.RestartCount}}", container], check=True).stdout)
