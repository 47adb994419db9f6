# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a customer of the broken lab sees, and the few things every fault needs."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

from lab.errors import LabError
from lab.instance import Lab
from lab.shell import wait_until
from lab.stack.project import STACK_IMAGE

# Longer than nginx waits for the server, so that its own answer is seen and not only our patience.
PATIENCE_SECONDS = 7.0
# More than any disk that a fault fills has left.
UPLOAD_BYTES = 48 << 20

NETWORK = "marketplace_default"
SQUATTER = "lab.squatter"
MOST_SQUATTERS = 8


def must_show(what: str, condition: Callable[[], bool], seconds: float = 30) -> None:
    """A fault that users do not see is none."""
    if not wait_until(condition, seconds, every=0.2):
        raise LabError(f"The fault did not show: {what} within {seconds:.0f} s was expected. `script/lab heal` undoes it.")


def site_status(lab: Lab) -> int | None:
    """What nginx answers a customer; None where nothing answers."""
    return lab.get("https", "/api/health", PATIENCE_SECONDS)[0]


def health_status(lab: Lab) -> int | None:
    """What the server itself answers; None where nothing answers."""
    return lab.get("health", "/api/health", 2)[0]


def nobody_answers(lab: Lab) -> bool:
    """Neither the site nor the server's own port."""
    return health_status(lab) is None and site_status(lab) is None


def wallets_answer(lab: Lab) -> bool:
    """Whether the server says that it reaches all of its wallets; without an answer of the server it does not."""
    status, said = lab.get("health", "/api/health", 2)
    return status is not None and '"not_responding"' not in said


def answer_on_host(lab: Lab, url: str) -> int | None:
    """What somebody gets who asks on the host itself; None where nothing answers."""
    asked = lab.run(
        ["curl", "--silent", "--insecure", "--max-time", "3", "--output", "/dev/null", "--write-out", "%{http_code}", url]
    )
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.isdecimal() else None


def container_of(lab: Lab, service: str) -> str:
    """Identity of a service's container, which must be there to be broken."""
    identity = lab.container(service)
    if not identity:
        raise LabError(f"There is no container of {service} to break: `script/lab heal` first.")
    return identity


def address_of(lab: Lab, container: str) -> str:
    """Its address on the project's network."""
    shape = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").IPAddress}}}}'
    return lab.docker(["inspect", "--format", shape, container], check=True).stdout.strip()


def squat(lab: Lab, address: str) -> None:
    """Have a container of nobody's project take an address that has just become free; the engine gives out the lowest first."""
    for _ in range(MOST_SQUATTERS):
        squatter = lab.docker(
            ["run", "--detach", "--rm", "--label", SQUATTER, "--network", NETWORK, STACK_IMAGE, "sleep", "3600"], check=True
        ).stdout.strip()
        if address_of(lab, squatter) == address:
            return
    raise LabError(f"The address {address} could not be taken: `script/lab heal` first.")


def unsquat(lab: Lab) -> None:
    """The addresses are free again."""
    squatters = lab.docker(["ps", "--all", "--quiet", "--filter", f"label={SQUATTER}"]).stdout.split()
    if squatters:
        lab.docker(["rm", "--force", *squatters])


def upload_status(lab: Lab) -> int | None:
    """What a customer gets who adds a picture to an offer."""
    url = f"https://{lab.state['address']}:{lab.ports['https']}/api/pictures"
    request = urllib.request.Request(url, data=bytes(UPLOAD_BYTES), method="POST")
    context = ssl.create_default_context(cafile=lab.state["authority"])
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def uploads_work(lab: Lab) -> None:
    """A fault that shows in uploads proves nothing where they failed before."""
    before = upload_status(lab)
    if before != 201:
        raise LabError(f"An upload to the healthy site answers {before}, not 201: `script/lab heal` first.")
