# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates of certificates, checked against what openssl says of the same files."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _certificate


@pytest.fixture(params=["10", "12000"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Near, with two digits of its year, and far, with four."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", request.param,
         "-subj", "/CN=shop.test", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "site.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "site.pem"


def openssl_says(path: Path) -> float:
    said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], check=True, capture_output=True, text=True)
    return datetime.strptime(said.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp()


def test_dates_of_a_file(certificate: Path) -> None:
    found = _certificate.in_file(str(certificate))
    assert found["problem"] is None
    assert found["not_after"] == openssl_says(certificate)
    assert found["not_before"] < found["not_after"]
    assert len(found["sha256"]) == 64


def test_the_served_one_is_read_though_nobody_trusts_it(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            plug, _address = listener.accept()
            # It only looks, and hangs up.
            with context.wrap_socket(plug, server_side=True) as wrapped, contextlib.suppress(OSError):
                wrapped.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        found = _certificate.served(f"https://127.0.0.1:{listener.getsockname()[1]}/health", 5)
        thread.join(5)
    assert found is not None
    assert found["sha256"] == _certificate.in_file(str(certificate))["sha256"]


def test_what_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "site.pem"
    assert "No such file" in _certificate.in_file(str(file))["problem"]
    for text in ("", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "\x00\xff"):
        file.write_text(text)
        assert _certificate.in_file(str(file))["problem"] == f"{file} holds no certificate"
    assert _certificate.served("http://127.0.0.1:1/", 1) is None
    assert _certificate.served("https://127.0.0.1:1/", 1) is None


def test_bytes_cut_anywhere_are_refused_not_believed(certificate: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    for size in range(0, len(der), 7):
        with pytest.raises(_certificate.Unreadable):
            _certificate.facts(der[:size])
