"""TLS files are checked before a client uses them; the files in ``tls/`` serve only this test."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import Misconfigured
from bridge.kafka.tls import check_files
from tests.support.factories import settings

FILES = Path(__file__).parent / "tls"
CERTIFICATE, KEY, OTHER_KEY, LOCKED_KEY = (
    str(FILES / f"{name}.pem") for name in ("certificate", "key", "other-key", "locked-key")
)
NO_PEM = __file__
MISMATCH = "ssl_certfile, kafka.ssl_keyfile and kafka.ssl_password do not match: "


def check(**names: str) -> None:
    check_files(
        settings(
            kafka__security_protocol="SSL",
            **{f"kafka__{name}": value for name, value in names.items()},
        ).kafka
    )


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"ssl_cafile": CERTIFICATE},
        {"ssl_certfile": CERTIFICATE, "ssl_keyfile": KEY},
        {"ssl_certfile": CERTIFICATE, "ssl_keyfile": LOCKED_KEY, "ssl_password": "opens"},
    ],
    ids=lambda names: " ".join(names) or "none",
)
def test_matching_files_are_accepted(names: dict[str, str]) -> None:
    check(**names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"ssl_cafile": "/nowhere/ca.pem"}, "ssl_cafile: cannot read /nowhere/ca.pem"),
        ({"ssl_cafile": NO_PEM}, "contains no certificates: no certificate or crl found"),
        ({"ssl_cafile": str(FILES)}, "contains no certificates: "),
        ({"ssl_certfile": NO_PEM, "ssl_keyfile": KEY}, f"{MISMATCH}not PEM"),
        ({"ssl_certfile": CERTIFICATE}, f"{MISMATCH}not PEM"),
        ({"ssl_certfile": CERTIFICATE, "ssl_keyfile": OTHER_KEY}, f"{MISMATCH}key values mismatch"),
        ({"ssl_certfile": CERTIFICATE, "ssl_keyfile": LOCKED_KEY}, MISMATCH),
        (
            {"ssl_certfile": CERTIFICATE, "ssl_keyfile": LOCKED_KEY, "ssl_password": "wrong"},
            MISMATCH,
        ),
        ({"ssl_keyfile": KEY}, "ssl_keyfile is set without kafka.ssl_certfile"),
    ],
    ids=range(9),
)
def test_unusable_files_are_rejected_by_name(names: dict[str, str], message: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        check(**names)

    assert message in str(raised.value) and "wrong" not in str(raised.value)
