"""The files of TLS are tried before a client is. Those beside this test are of no use but to it."""

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
TOGETHER = "ssl_certfile, kafka.ssl_keyfile and kafka.ssl_password do not go together: "


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
def test_what_goes_together_is_admitted(names: dict[str, str]) -> None:
    check(**names)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"ssl_cafile": "/nowhere/ca.pem"}, "ssl_cafile: cannot read /nowhere/ca.pem"),
        ({"ssl_cafile": NO_PEM}, "has no certificates in it: no certificate or crl found"),
        ({"ssl_cafile": str(FILES)}, "has no certificates in it: "),
        ({"ssl_certfile": NO_PEM, "ssl_keyfile": KEY}, f"{TOGETHER}not PEM"),
        ({"ssl_certfile": CERTIFICATE}, f"{TOGETHER}not PEM"),
        ({"ssl_certfile": CERTIFICATE, "ssl_keyfile": OTHER_KEY}, f"{TOGETHER}key values mismatch"),
        ({"ssl_certfile": CERTIFICATE, "ssl_keyfile": LOCKED_KEY}, TOGETHER),
        (
            {"ssl_certfile": CERTIFICATE, "ssl_keyfile": LOCKED_KEY, "ssl_password": "wrong"},
            TOGETHER,
        ),
        ({"ssl_keyfile": KEY}, "ssl_keyfile is given without kafka.ssl_certfile"),
    ],
    ids=range(9),
)
def test_what_does_not_is_refused_and_named(names: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        check(**names)

    assert said in str(raised.value) and "wrong" not in str(raised.value)
