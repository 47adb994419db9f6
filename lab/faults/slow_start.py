# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of the server that needs 40 seconds before it listens, killed: slow is not dead."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.stack.project import SERVER_IMAGE

SUMMARY = "the site says 502: the server was killed, and this release of it needs 40 seconds to come up"

RELEASE = "r5"
WARM_UP_SECONDS = 40
RECIPE = f"""FROM {SERVER_IMAGE}
ENV MARKETPLACE_RELEASE={RELEASE}
ENTRYPOINT ["sh", "-c", "echo building the search index; sleep {WARM_UP_SECONDS}; exec python3 -m marketplace \\"$@\\"", "marketplace"]
CMD ["serve"]
"""
SETTINGS = f"s/^SERVER_RELEASE=.*/SERVER_RELEASE={RELEASE}\\nSERVER_START_PERIOD=60s/"


def break_(lab: Lab) -> None:
    tag = f"{SERVER_IMAGE.partition(':')[0]}:{RELEASE}"
    lab.host.run(["docker", "build", "--quiet", "--tag", tag, "-"], stdin=RECIPE)
    lab.run(["sed", "--in-place", SETTINGS, f"{COMPOSE_DIR}/.env"], check=True)
    lab.compose(["up", "--detach", "--no-deps", "--no-build", "server"], check=True)
    # As every deployment here ends: the new container may have another address.
    lab.docker(["kill", "--signal", "HUP", container_of(lab, "nginx")], check=True)
    lab.docker(["kill", container_of(lab, "server")], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
