"""GSSAPI: where it is missing, one line says so; elsewhere both drivers get its options."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.errors import Misconfigured
from bridge.kafka.drivers import driver_of
from bridge.kafka.kafka_python.client import connection as kafka_python
from bridge.kafka.librdkafka import options
from bridge.kafka.librdkafka.client import connection as librdkafka
from bridge.kafka.librdkafka.client import make_latest_warning
from bridge.notifier.arguments import driver_for_host
from bridge.settings import Settings
from tests.support.factories import settings

FIND_PACKAGE = "bridge.kafka.kafka_python.client.find_spec"


def kerberos(**changed: Any) -> Settings:
    given = {"kafka__security_protocol": "SASL_PLAINTEXT", "kafka__sasl_mechanism": "GSSAPI"}
    return settings(kafka__topic="jobs", **given | changed)


def refuse_feature(given: dict[str, object]) -> str:
    """As librdkafka answers where it was built without Kerberos."""
    return "not available at build time" if "builtin.features" in given else ""


@pytest.mark.parametrize("driver", ["auto", "librdkafka"])
def test_librdkafka_without_kerberos_is_reported(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_refused", refuse_feature)

    with pytest.raises(Misconfigured, match="built without it") as raised:
        driver_of(kerberos(kafka__driver=driver))

    assert "kafka.driver = kafka-python" in raised.value.todo


def test_the_notifier_gives_the_same_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_refused", refuse_feature)

    with pytest.raises(Misconfigured, match="built without it") as raised:
        driver_for_host(kerberos(kafka__driver="librdkafka"))

    assert "driver = kafka-python" in raised.value.todo


def test_librdkafka_is_asked_for_features() -> None:
    """It accepts the names of features that it contains, and refuses all others."""
    assert options._refused({"builtin.features": "sasl_scram"}) == ""
    assert options._refused({"builtin.features": "sasl_nothing"}) != ""


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to the commands that read with kafka-python beside librdkafka."""
    monkeypatch.setattr(FIND_PACKAGE, lambda _: None)

    with pytest.raises(Misconfigured, match="needs the package gssapi"):
        driver_of(kerberos(kafka__driver="kafka-python"))
    with pytest.raises(Misconfigured, match="pip install gssapi"):
        kafka_python(kerberos())


def test_both_drivers_get_the_service_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIND_PACKAGE, lambda _: object())
    given = kerberos(kafka__sasl_kerberos_service_name="broker")

    python, c = kafka_python(given), librdkafka(given, make_latest_warning())

    assert python["sasl_mechanism"] == c["sasl.mechanism"] == "GSSAPI"
    assert python["sasl_kerberos_service_name"] == c["sasl.kerberos.service.name"] == "broker"
    assert "sasl_plain_username" not in python and "sasl.username" not in c


@pytest.mark.parametrize("name", ["sasl_username", "sasl_password"])
def test_kerberos_needs_no_password(name: str) -> None:
    with pytest.raises(Misconfigured, match="are not used with --kafka-sasl-mechanism = GSSAPI"):
        kerberos(**{f"kafka__{name}": "canary-fEd3"})
