# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's certificate and the lab's own authority that signs it, so that what validates can be shown to."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

AUTHORITY_CERTIFICATE, AUTHORITY_KEY = "ca.crt", "ca.key"
SUBJECT = "/CN=marketplace.lab"

# By the name and by the address that customers, probes and nginx's own neighbours use.
SITE_EXTENSIONS = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:marketplace.lab, DNS:localhost, DNS:nginx, IP:127.0.0.1
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_authority(directory: Path) -> None:
    """An authority of the lab's own; the one that is there stays."""
    certificate, key = directory / AUTHORITY_CERTIFICATE, directory / AUTHORITY_KEY
    if certificate.exists() and key.exists():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _openssl(
        "req", "-x509", *_NEW_KEY, "-days", "3650", "-subj", "/CN=Marketplace lab authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", str(key), "-out", str(certificate),
    )  # fmt: skip
    key.chmod(0o400)


def sign_site(authority: Path, directory: Path) -> None:
    """The site's certificate; the one that is there stays."""
    certificate, key = directory / "site.crt", directory / "site.key"
    if certificate.exists() and key.exists():
        return
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        request, extensions = Path(name) / "site.csr", Path(name) / "extensions"
        extensions.write_text(SITE_EXTENSIONS, encoding="utf-8")
        _openssl("req", *_NEW_KEY, "-subj", SUBJECT, "-keyout", str(key), "-out", str(request))
        _openssl(
            "x509", "-req", "-in", str(request), "-days", "800", "-extfile", str(extensions),
            "-CA", str(authority / AUTHORITY_CERTIFICATE), "-CAkey", str(authority / AUTHORITY_KEY), "-out", str(certificate),
        )  # fmt: skip
    key.chmod(0o400)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
