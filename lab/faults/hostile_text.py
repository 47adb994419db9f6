# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that ends after each start, and text at every place that a diagnosis reads which would like to be more than text.

Templates, escape sequences, line breaks, NUL, bytes that are no UTF-8 and a line of 100 kB: in the server's log, in what nginx
answers and in what its health check says, and in the labels of a container that claims to be of the project.
"""

from __future__ import annotations

import json

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.stack.project import STACK_IMAGE

SUMMARY = "the site says 502: the server ends after each start, and what it says is made to be run by whoever reads it"

MARK = "/tmp/x"  # noqa: S108  that it does not appear is the point
TEMPLATE = "{{ lookup('pipe','touch /tmp/x') }}{% raw %}"
TEXT = f"{TEMPLATE} \x1b[31m\x1b]0;owned\x07\u202e$(touch {MARK}) `touch {MARK}`"
# Runs in the container: every byte there is, then lines that nothing should break.
SPEAK = (
    "import sys; text = sys.argv[1].encode(); out = sys.stdout.buffer; "
    "out.write(b'x' * 100000 + b'\\n' + bytes(range(256)) + b'\\xff\\xfe\\x00\\n' + text + b'\\r\\n' + text + b'\\n'); "
    "out.flush(); sys.exit(3)"
)
OVERRIDE = f"{COMPOSE_DIR}/docker-compose.override.yml"
STRANGER = "lab-stranger"


def break_(lab: Lab) -> None:
    speak = ["python3", "-c", SPEAK, TEXT]
    override = {
        "services": {
            "server": {"entrypoint": speak, "labels": {"note": TEXT}},
            "nginx": {"healthcheck": {"test": ["CMD", *speak]}, "labels": {"note": "y" * 100_000}},
        }
    }
    # JSON is YAML; a dollar sign would be Compose's.
    lab.run(["sh", "-c", f"cat > {OVERRIDE}"], check=True, stdin=json.dumps(override).replace("$", "$$"))
    answer = 'add_header X-Note "{0}" always; return 502 "{0}";'.format(TEXT.replace("$", "").replace("\x1b", "\x1b\x01"))
    script = "import sys; p = sys.argv[1]; s = open(p).read(); open(p, 'w').write(s.replace('proxy_pass http://marketplace;', sys.argv[2]))"
    lab.run(["python3", "-c", script, f"{COMPOSE_DIR}/nginx/nginx.conf", answer], check=True)
    lab.docker(
        ["run", "--detach", "--name", STRANGER, "--label", "com.docker.compose.project=marketplace",
         "--label", f"com.docker.compose.service={TEXT}\n{TEXT}", "--label", f"note={'z' * 100_000}", STACK_IMAGE, "false"], check=True,
    )  # fmt: skip
    lab.compose(["up", "--detach", "--no-deps", "--no-build", "server", "nginx"], check=True)
    must_show("a server that was started at least three times", lambda: _restarts(lab) >= 2)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) == 502, 30)


def heal_(lab: Lab) -> None:
    lab.docker(["rm", "--force", STRANGER])
    lab.run(["rm", "--force", OVERRIDE, MARK])


def _restarts(lab: Lab) -> int:
    counted = lab.docker(["inspect", "--format", "{{.RestartCount}}", container_of(lab, "server")]).stdout.strip()
    return int(counted) if counted.isdecimal() else 0
