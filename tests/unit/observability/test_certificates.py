"""The certificate files of the settings, and when they expire."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from bridge.model.certificate import expiries
from bridge.observability.certificates import Certificates
from tests.support.factories import settings
from tests.support.servers import certificates as authority


def certificate(path: Path, days: int) -> float:
    """Write a self-signed certificate to ``path``; return its end as OpenSSL prints it."""
    authority.required()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    made = ("req", "-x509", *key, "/dev/null", "-subj", "/CN=a", "-days", str(days), "-out")
    subprocess.run(["openssl", *made, path], check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", path], check=True, capture_output=True
    )
    return ssl.cert_time_to_seconds(shown.stdout.decode().strip().removeprefix("notAfter="))


@pytest.mark.parametrize("days", [2, 40_000])
def test_the_end_is_openssls(days: int, tmp_path: Path) -> None:
    """From 2050 on certificates contain another type of time."""
    end = certificate(tmp_path / "a.pem", days)

    assert expiries((tmp_path / "a.pem").read_text()) == [end]


def test_a_malformed_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="malformed"):
        expiries(ssl.DER_cert_to_PEM_cert(b"\x30\x03\x30\x01\x00"))


def test_each_setting_has_its_end(tmp_path: Path) -> None:
    """Of authorities the last end counts, of a chain the first."""
    early = certificate(tmp_path / "early.pem", 2)
    late = certificate(tmp_path / "late.pem", 9)
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "early.pem").read_text() + (tmp_path / "late.pem").read_text())
    uri = f"mongodb://h/?tls=true&tlsCAFile={both}&tlscertificatekeyfile={tmp_path}/late.pem"

    files = Certificates(
        settings(
            mongo__uri=uri,
            kafka__security_protocol="SSL",
            kafka__ssl_cafile=str(both),
            kafka__ssl_certfile=str(both),
        )
    )

    assert dict(files.not_after()) == {
        "kafka.ssl_cafile": late,
        "kafka.ssl_certfile": early,
        "mongo.uri tlsCAFile": late,
        "mongo.uri tlsCertificateKeyFile": late,
    }


def test_a_rotated_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    certificate(path, 2)
    files = Certificates(settings(kafka__security_protocol="SSL", kafka__ssl_cafile=str(path)))
    files.not_after()

    end = certificate(path, 9)

    assert files.not_after() == (("kafka.ssl_cafile", end),)


def test_an_unusable_file_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    files = Certificates(settings(kafka__security_protocol="SSL", kafka__ssl_cafile=str(path)))

    assert files.not_after() == ()
    path.write_text("not a certificate")
    assert files.not_after() == ()
