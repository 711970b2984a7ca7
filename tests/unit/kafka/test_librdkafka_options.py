"""``kafka.options`` as librdkafka itself checks it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from bridge.errors import Misconfigured
from bridge.kafka.drivers import driver_of
from bridge.kafka.librdkafka.client import connection, make_latest_warning
from bridge.kafka.librdkafka.options import _known_names
from bridge.settings import Settings
from bridge.settings.librdkafka_options import refused_names
from tests.support.command import ROOT
from tests.support.factories import settings

SECRET = "canary-fEd3"
#: Names of the Python module, and those that the list of librdkafka leaves out.
UNLISTED = {"on_*", "logger", "default.topic.config", "test.mock.*", "enable_sasl_queue"}


def configured(options: object, **changed: object) -> Settings:
    return settings(kafka__topic="jobs", kafka__options=options, **changed)


def test_options_reach_every_client() -> None:
    """All clients share ``connection``; a setting of the bridge is not replaced."""
    plain = connection(configured(""), make_latest_warning())
    with_rack = connection(configured({"client.rack": "a"}), make_latest_warning())

    assert {*with_rack} - {*plain} == {"client.rack"} and with_rack["client.rack"] == "a"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"client.rak": SECRET}, r"client.rak is unknown \(did you mean client.rack\?\)"),
        ({"ssl.key.pm": SECRET}, r"ssl.key.pm is unknown \(did you mean ssl.key.pem\?\)"),
        ({"xyz": SECRET}, "xyz is unknown. Nothing was read or sent"),
        ({"broker.address.family": SECRET}, "the value of broker.address.family is not accepted"),
        ({"fetch.min.bytes": SECRET}, "the value of fetch.min.bytes is not accepted"),
        (
            {"connections.max.idle.ms": -5},
            "the value of connections.max.idle.ms is not accepted: it must be in 0..2147483647",
        ),
        ({"client.rak": "a", "fetch.min.bytes": -1}, "client.rak is unknown.*; the value of fetch"),
    ],
)
def test_wrong_options_are_refused_without_their_values(
    options: dict[str, object], problem: str
) -> None:
    with pytest.raises(Misconfigured, match=f"kafka.options: .*{problem}") as raised:
        driver_of(configured(options))

    assert SECRET not in str(raised.value)
    assert "CONFIGURATION.md lists the names" in raised.value.todo


@pytest.mark.parametrize(
    "options", [{"fetch.max.bytes": 1000}, {"receive.message.max.bytes": 1_000_000}]
)
def test_values_that_only_consumers_refuse(options: dict[str, object]) -> None:
    """Otherwise each start would fail where it reads the topic."""
    with pytest.raises(Misconfigured, match="is not accepted"):
        driver_of(configured(options))


@pytest.mark.parametrize("name", ["ssl.providers", "ssl.key.pem", "ssl.cipher.suites"])
def test_values_are_tried_with_the_other_settings(name: str) -> None:
    """librdkafka's text repeats some values."""
    with pytest.raises(Misconfigured, match="with the other settings librdkafka ref") as raised:
        driver_of(configured({name: SECRET}, kafka__security_protocol="SSL"))

    assert SECRET not in str(raised.value)


def test_kafka_python_refuses_options() -> None:
    with pytest.raises(Misconfigured, match=r"kafka.options needs the driver librd") as raised:
        driver_of(configured({"client.rack": SECRET}, kafka__driver="kafka-python"))

    assert SECRET not in str(raised.value) and raised.value.exit_code == 78


def test_every_option_that_a_client_sets_is_refused() -> None:
    """Otherwise an option would replace it, or be replaced, silently."""
    texts = [path.read_text() for path in (ROOT / "bridge" / "kafka" / "librdkafka").glob("*.py")]
    own = {
        name for text in texts for name in re.findall(r'^ +"([a-z]+[._][a-z._]+)": ', text, re.M)
    }

    assert {"bootstrap.servers", "enable.idempotence", "group.id", "error_cb"} < own
    assert [name for name in own if not _matches(name, refused_names())] == []


def test_every_refused_name_is_one_of_librdkafka() -> None:
    known = _known_names()

    assert len(known) > 150
    unknown = {pattern for pattern in refused_names() if not _matching(pattern, known)}
    assert unknown <= UNLISTED


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matching(pattern: str, names: list[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]
