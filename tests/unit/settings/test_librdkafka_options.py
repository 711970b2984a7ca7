"""``kafka.options``: its forms, and what it may not contain."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import Misconfigured
from bridge.settings import Settings, load
from tests.support.factories import settings

SECRET = "canary-fEd3"
FORMS = (
    'options = \'{"client.rack": "a", "socket.keepalive.enable": true, "fetch.min.bytes": 7}\'',
    '[kafka.options]\n"client.rack" = "a"\n"socket.keepalive.enable" = true\n"fetch.min.bytes" = 7',
    '[kafka.options]\nclient.rack = "a"\nsocket.keepalive.enable = true\nfetch.min.bytes = 7',
)


def given(options: object) -> Settings:
    return settings(kafka__topic="jobs", kafka__options=options)


@pytest.mark.parametrize("form", FORMS, ids=["text", "quoted names", "plain names"])
def test_each_form_gives_the_same_options(form: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[kafka]\n{form}\n")

    assert load(path, {}, {}).kafka.librdkafka_options() == {
        "client.rack": "a",
        "socket.keepalive.enable": "true",
        "fetch.min.bytes": "7",
    }


def test_options_come_from_the_environment(tmp_path: Path) -> None:
    """As text, or from a file that is read again for each new client."""
    path = tmp_path / "options.json"
    path.write_text('{"ssl.key.pem": "first"}')
    text = load(None, {}, {"JOB_BRIDGE_KAFKA_OPTIONS": '{"client.rack": "a"}'})
    file = load(None, {}, {"JOB_BRIDGE_KAFKA_OPTIONS_FILE": str(path)})
    path.write_text('{"ssl.key.pem": "second"}')

    assert text.kafka.librdkafka_options() == {"client.rack": "a"}
    assert file.kafka.librdkafka_options() == {"ssl.key.pem": "first"}
    assert file.with_present_secrets().kafka.librdkafka_options() == {"ssl.key.pem": "second"}


def test_a_file_may_become_wrong(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text("{}")
    file = load(None, {}, {"JOB_BRIDGE_KAFKA_OPTIONS_FILE": str(path)})
    path.write_text(f'{{"acks": "{SECRET}"}}')

    with pytest.raises(Misconfigured, match="read again: acks is not accepted") as raised:
        file.with_present_secrets().kafka.librdkafka_options()

    assert SECRET not in str(raised.value) and raised.value.part == "kafka"


@pytest.mark.parametrize("empty", ["", " ", "{}", {}])
def test_no_options_are_the_default(empty: object) -> None:
    assert given(empty).kafka.librdkafka_options() == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bootstrap.servers", "set kafka.bootstrap_servers instead"),
        ("metadata.broker.list", "set kafka.bootstrap_servers instead"),
        ("security.protocol", "set kafka.security_protocol instead"),
        ("sasl.mechanisms", "set kafka.sasl_mechanism instead"),
        ("sasl.password", "set kafka.sasl_password instead"),
        ("ssl.ca.location", "set kafka.ssl_cafile instead"),
        ("compression.codec", "set kafka.compression instead"),
        ("acks", "no message is lost, repeated or out of order"),
        ("request.required.acks", "no message is lost, repeated or out of order"),
        ("enable.idempotence", "no message is lost, repeated or out of order"),
        ("max.in.flight", "no message is lost, repeated or out of order"),
        ("transactional.id", "no message is lost, repeated or out of order"),
        ("message.timeout.ms", "no message is lost, repeated or out of order"),
        ("retries", "no message is lost, repeated or out of order"),
        ("partitioner", "no message is lost, repeated or out of order"),
        ("isolation.level", "no message is lost, repeated or out of order"),
        ("auto.offset.reset", "no message is lost, repeated or out of order"),
        ("enable.auto.commit", "no message is lost, repeated or out of order"),
        ("group.id", "a single bridge owns the checkpoint"),
        ("session.timeout.ms", "a single bridge owns the checkpoint"),
        ("group.instance.id", "set checkpoint.instance instead"),
        ("client.id", "the bridge sets it"),
        ("linger.ms", "the bridge sets it"),
        ("enable.ssl.certificate.verification", "always checks with whom it is connected"),
        ("error_cb", "belong to the bridge's program"),
        ("debug", "belong to the bridge's program"),
        ("plugin.library.paths", "belong to the bridge's program"),
    ],
)
def test_options_of_the_bridge_are_refused(name: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} is not accepted: .*{reason}") as raised:
        given({"client.rack": "a", name: SECRET})

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (f"{{'client.rack': '{SECRET}'}}", "the text is not JSON: it is a table"),
        (f'["{SECRET}"]', "the text is not a JSON object"),
        ({f"{SECRET} x": "a"}, "name 1 is not that of an option"),
        ({"client.rack": [SECRET]}, "the value of client.rack is not a text, a number"),
        ({"client.rack": {}}, "the value of client.rack is not a text, a number"),
        ('{"client.rack": null}', "the value of client.rack is not a text, a number"),
        (SECRET, "the text is not JSON"),
        (True, "a boolean is not accepted here"),
        (7, "Input should be a valid string"),
    ],
)
def test_other_values_are_refused_without_showing_them(options: object, problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem) as raised:
        given(options)

    assert SECRET not in str(raised.value)


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(Misconfigured) as raised:
        given({"acks": 1, "debug": "all", "client.rack": []})

    problem = raised.value.what
    assert all(name in problem for name in ("acks is", "debug is", "value of client.rack"))
