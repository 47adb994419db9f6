# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's certificate has expired: somebody forgot to renew it. The server behind it is as well as ever."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show
from lab.instance import Lab
from lab.places import COMPOSE_DIR, KEPT_DIR
from lab.project_archive import AUTHORITY
from lab.stack import tls

SUMMARY = "browsers refuse the site: its certificate has expired; the server itself answers 200"

CERTIFICATE = "nginx/tls/site.crt"
# Valid for a month, and that month is over. The key stays, so whoever renews only signs again.
SIGN = f"""
set -e
cd "$(mktemp -d)"
cat > extensions
openssl x509 -x509toreq -in {KEPT_DIR}/{CERTIFICATE} -signkey {COMPOSE_DIR}/nginx/tls/site.key -out request 2>/dev/null
faketime '40 days ago' openssl x509 -req -in request -days 30 -extfile extensions \\
  -CA /{AUTHORITY[tls.AUTHORITY_CERTIFICATE]} -CAkey /{AUTHORITY[tls.AUTHORITY_KEY]} -out certificate 2>/dev/null
cat certificate > {COMPOSE_DIR}/{CERTIFICATE}
rm -r "$PWD"
"""


def break_(lab: Lab) -> None:
    lab.run(["sh", "-c", SIGN], check=True, stdin=tls.SITE_EXTENSIONS)
    lab.docker(["kill", "--signal", "HUP", container_of(lab, "nginx")], check=True)
    must_show("an expired certificate", lambda: "certificate has expired" in lab.get("https", "/api/health")[1])
    must_show("200 from the server", lambda: health_status(lab) == 200)


def renew(lab: Lab) -> None:
    """What an operator does: the new certificate lies where the old one was, and nobody has told nginx."""
    lab.run(["cp", "--no-preserve=mode", f"{KEPT_DIR}/{CERTIFICATE}", f"{COMPOSE_DIR}/{CERTIFICATE}"], check=True)
