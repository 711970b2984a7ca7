"""Connections without TLS: a warning for public addresses only."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import pytest

from bridge.app import preflight
from bridge.app.plain_text import plain_text_findings, warn_of_plain_text
from tests.support.factories import settings

NAMES = {
    "localhost": "127.0.0.1",
    "inside": "10.1.2.3",
    "outside": "8.8.8.8",
    "outside6": "2a00:1450::1",
    "mapped": "::ffff:8.8.8.8",
    "zone": "fe80::1%eth0",
}
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - nothing listens there


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Resolve the names of this file only; addresses resolve to themselves."""
    names = dict(NAMES)

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        if host.isalnum() and host not in names:
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names.get(host, host), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


def subjects(**options: Any) -> list[str]:
    findings = [*plain_text_findings(settings(**options))]
    assert {finding.level for finding in findings} <= {"warning"}
    assert all(finding.todo for finding in findings)
    return [finding.subject for finding in findings]


@pytest.mark.parametrize(
    "host", ["localhost", "inside", "zone", "unknown", "192.168.1.1", "[fd00::1]"]
)
def test_private_addresses_need_no_tls(host: str) -> None:
    assert subjects(mongo__uri=f"mongodb://{host}:1", kafka__bootstrap_servers="inside:1") == []


@pytest.mark.parametrize("host", ["outside", "outside6", "mapped", "1.1.1.1", "[2a00:1450::1]"])
def test_public_addresses_are_reported(host: str) -> None:
    assert subjects(mongo__uri=f"mongodb://inside,{host}:1") == ["mongodb"]
    assert subjects(mongo__uri=f"mongodb://{host}:1/?tls=true") == []


def test_the_advice_keeps_the_login() -> None:
    (finding,) = plain_text_findings(
        settings(
            kafka__bootstrap_servers="outside:9092",
            kafka__security_protocol="SASL_PLAINTEXT",
            kafka__sasl_mechanism="GSSAPI",
        )
    )

    assert finding.todo == "set kafka.security_protocol = SASL_SSL"


@pytest.mark.parametrize(
    ("protocol", "reported"),
    [("PLAINTEXT", True), ("SASL_PLAINTEXT", True), ("SSL", False), ("SASL_SSL", False)],
)
def test_plain_protocols_of_kafka_are_reported(protocol: str, reported: bool) -> None:
    account = {"kafka__sasl_username": "u", "kafka__sasl_password": "canary-fEd3"}

    found = subjects(
        kafka__bootstrap_servers="inside:1,outside:9092",
        kafka__security_protocol=protocol,
        **(account if protocol.startswith("SASL") else {}),
    )

    assert found == (["kafka"] if reported else [])


@pytest.mark.parametrize(
    ("url", "reported"),
    [("http://outside/t", True), ("http://inside/t", False), ("https://outside/t", False)],
)
def test_plain_token_endpoints_are_reported(url: str, reported: bool) -> None:
    found = subjects(
        kafka__bootstrap_servers="outside:9092",
        kafka__security_protocol="SASL_SSL",
        kafka__sasl_mechanism="OAUTHBEARER",
        kafka__sasl_username="u",
        kafka__sasl_password="canary-fEd3",
        kafka__sasl_oauth_token_url=url,
    )

    assert found == (["kafka"] if reported else [])


def test_pages_on_a_public_address_are_reported(
    name_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All addresses are those of this machine's name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    name_server["here"] = "172.17.0.2"

    assert subjects(http__host=ALL_ADDRESSES) == []
    assert subjects(http__host="8.8.8.8") == ["http"]
    assert subjects(http__host="8.8.8.8", http__certfile="x") == []
    name_server["here"] = "8.8.4.4"
    assert subjects(http__host=ALL_ADDRESSES) == ["http"]


def test_a_check_lists_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("check_mongodb", "check_kafka"):
        monkeypatch.setattr(preflight, name, lambda _: iter(()))

    findings = preflight.preflight(settings(mongo__uri="mongodb://outside:1", http__port=0))

    assert [(finding.level, finding.subject) for finding in findings] == [
        ("ok", "http"),
        ("warning", "mongodb"),
    ]


def test_a_start_logs_the_findings(caplog: pytest.LogCaptureFixture) -> None:
    uri = "mongodb://bridge:canary-fEd3@outside:1"
    with caplog.at_level(logging.WARNING, "bridge"):
        warn_of_plain_text(settings(mongo__uri=uri))
        for thread in threading.enumerate():
            if thread.name == "plain-text":
                thread.join(20)

    (record,) = caplog.records
    assert "without TLS: outside; add tls=true" in record.getMessage()
    assert "canary" not in caplog.text
