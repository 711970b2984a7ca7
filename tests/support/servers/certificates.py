"""A certificate authority for tests, and the certificates that it signs, made with OpenSSL."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def required() -> None:
    """Skip the test, with a reason, where there is no OpenSSL; fail where ``CI`` is set."""
    if shutil.which("openssl") is not None:
        return
    reason = "certificates need openssl on the path"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Certificates:
    """An authority and its certificates in one folder; ``rotate`` replaces them in place.

    ``ca.pem`` is the authority. ``NAME.pem`` contains a certificate and its key, as MongoDB and
    Kafka read them.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._names = names
        self._number = 0
        folder.mkdir(parents=True)
        self.rotate()

    @property
    def authority(self) -> str:
        return str(self.folder / "ca.pem")

    def file(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def rotate(self) -> None:
        """Make a new authority and new certificates under the same file names.

        The authority has a new name each time, so that no old certificate is taken for a new one.
        """
        self._number += 1
        subject = f"/CN=authority {self._number}"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", subject, "-keyout", "ca.key", "-out", "ca.new"),
            # Python 3.13 and later refuse an authority without it.
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        for name in self._names:
            self._sign(name)
        (self.folder / "ca.new").rename(self.authority)

    def _sign(self, name: str) -> None:
        self._openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-subj", f"/O={name}s/CN={name}", "-keyout", "key", "-out", "request"),
        )
        (self.folder / "names").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n"
        )
        self._openssl(
            *("x509", "-req", "-in", "request", "-CA", "ca.new", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "certificate"),
        )
        both = [(self.folder / part).read_text() for part in ("certificate", "key")]
        (self.folder / "both").write_text("".join(both))
        (self.folder / "both").rename(self.file(name))

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
