# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the marketplace's Compose project as it lies on the host: tracked files, site settings, secrets."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path

from lab.stack import tls

STACK = Path(__file__).parent
STACK_IMAGE = "marketplace/stack:lab"
SERVER_RELEASE = "r1"
SERVER_IMAGE = f"marketplace/server:{SERVER_RELEASE}"

# The user of every service that does not need root, and the owner of what they write under /data and /ledger.
SERVICE_UID = 10001

# The one variable that shortens the `for` of every alert rule.
ALERT_FOR = "2s"

# One after the other in each wallet RPC; the server's home is the first.
WALLET_NAMES = ("escrow_1", "escrow_2")
WALLET_NAME = WALLET_NAMES[0]
WALLET_LOGIN = "marketplace:a-lab-on-loopback-only"

# Folders that must exist on the host for the services to start, all owned by SERVICE_UID.
DATA_FOLDERS = (
    "/data",
    "/data/monero",
    "/data/prometheus",
    "/data/wallets/buyer",
    "/data/wallets/vendor",
    "/data/wallets/arbiter",
    "/ledger",
)

# How the project came to be: (message, paths), one commit each, oldest first.
COMMITS = (
    ("Run the server behind nginx", (".gitignore", "docker-compose.yml", "server", "nginx", "database")),
    ("Escrow with three wallets and a daemon", ("monerod", "escrow")),
    ("Watch the site: Prometheus, blackbox probe, node exporter", ("prometheus/prometheus.yml", "blackbox")),
    ("Alert on what the handbook names", ("prometheus/rules", "alertmanager")),
)

# What a site keeps out of its repository, and has to have a copy of elsewhere.
UNTRACKED = (".env", "secrets/wallet_rpc_login", "nginx/tls/site.crt", "nginx/tls/site.key", "blackbox/tls/ca.crt")

_COPIED = ("alertmanager", "blackbox", "database", "escrow", "monerod", "nginx", "prometheus", "server")


def write_project(directory: Path, authority: Path, alert_for: str = ALERT_FOR) -> None:
    """Fill a folder with the project, its certificate signed by the authority; files of others are left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copytree(STACK / name, directory / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(STACK / "compose.yml", directory / "docker-compose.yml")
    (directory / ".gitignore").write_text(".env\n/secrets/\n/nginx/tls/\n/blackbox/tls/\n", encoding="utf-8")
    _write_settings(directory / ".env")
    _write_rules(directory / "prometheus/rules", alert_for)
    _write_secrets(directory / "secrets")
    tls.make_authority(authority)
    tls.sign_site(authority, directory / "nginx/tls")
    (directory / "blackbox/tls").mkdir(exist_ok=True)
    shutil.copyfile(authority / tls.AUTHORITY_CERTIFICATE, directory / "blackbox/tls/ca.crt")


def server_commit() -> str:
    """What stands for the commit of the server's code: a hash over its files."""
    digest = hashlib.sha256()
    for path in sorted((STACK / "server").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(STACK)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def shorten_alerts(rules: str, alert_for: str) -> str:
    """Every `for` of the rules, replaced by the lab's."""
    return re.sub(r"(?m)^(\s+for:) .*$", rf"\1 {alert_for}", rules)


def _write_rules(directory: Path, alert_for: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted((STACK / "rules").glob("*.yml")):
        rules = shorten_alerts(source.read_text(encoding="utf-8"), alert_for)
        (directory / source.name).write_text(rules, encoding="utf-8")


def _write_settings(file: Path) -> None:
    """The site's settings when nothing is wrong; the key is each project's own."""
    file.touch(mode=0o600)
    file.write_text(
        f"SERVER_RELEASE={SERVER_RELEASE}\nPOOL_SIZE=10\nWRITER_RATE=10\nSESSION_KEY={secrets.token_hex(24)}\n",
        encoding="utf-8",
    )


def _write_secrets(directory: Path) -> None:
    directory.mkdir(mode=0o711, exist_ok=True)
    login = directory / "wallet_rpc_login"
    login.write_text(f"rpc-login={WALLET_LOGIN}\n", encoding="utf-8")
    login.chmod(0o400)
    os.chown(login, SERVICE_UID, SERVICE_UID)
