"""The settings: which source wins, and every problem at once under the name it was given by."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Misconfigured
from bridge.settings import load, parse_time
from bridge.settings.load import setting_names
from bridge.settings.names import option, variable
from tests.support.settings_reading import problems, reading

EXAMPLE = Path(__file__).parents[3] / "config" / "job-bridge.example.toml"


def test_nothing_given_is_the_defaults() -> None:
    settings = load(None, {}, {})

    assert settings.kafka.topic == "job-transitions"
    assert settings.mongo.database == "cdmtaskservice"
    assert settings.delivery.mode == "at-least-once" and settings.checkpoint.store == "mongo"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 9595)
    assert settings.start.from_ == "now"


def test_options_override_environment_file_and_defaults(
    file: Path,
) -> None:
    file.write_text('[kafka]\ntopic = "file"\nheaders = "none"\n[mongo]\ndatabase = "file"\n')

    settings = reading(
        {"JOB_BRIDGE_KAFKA_TOPIC": "env", "JOB_BRIDGE_MONGO_DATABASE": "env"},
        file,
        kafka__topic="option",
    )

    assert (settings.kafka.topic, settings.mongo.database, settings.kafka.headers) == (
        "option",
        "env",
        "none",
    )
    assert settings.kafka.compression == "none"


def test_the_start_is_set_by_its_stable_name() -> None:
    settings = reading({"JOB_BRIDGE_START_FROM": "2026-03-02T18:00:00+02:00"})

    assert settings.start.from_ == "2026-03-02T18:00:00+02:00"
    assert parse_time(settings.start.from_).isoformat() == "2026-03-02T16:00:00+00:00"


def test_all_problems_are_reported_by_their_given_names(file: Path) -> None:
    file.write_text('[http]\nport = 99999\n[kafka]\nheaders = "avro"\n')

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOB_BRIDGE_DELIVERY_WINDOW_MESSAGES", "0")
        text = problems(
            file,
            {"JOB_BRIDGE_DELIVERY_WINDOW_MESSAGES": "0"},
            kafka__topic="a b",
            checkpoint__interval_seconds="soon",
        )

    assert text.startswith("5 problem(s)")
    for part in (
        f"{file}: http.port",
        f"{file}: kafka.headers",
        "JOB_BRIDGE_DELIVERY_WINDOW_MESSAGES",
        "--kafka-topic",
        "Illegal character ' ' at position 2",
        "--checkpoint-interval-seconds",
        "'soon'",
    ):
        assert part in text


SECONDS = sorted(name for name, field in setting_names().items() if field.annotation is float)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e12", "-1"])
@pytest.mark.parametrize("name", SECONDS)
def test_seconds_without_end_are_refused_by_name(name: str, value: str) -> None:
    text = problems(None, None, **{name: value})

    assert text.startswith(f"1 problem(s) in the settings: {option(name)}: Input should be ")
    assert text.endswith(f", not '{value}'")


def test_all_seconds_accept_a_year() -> None:
    assert len(SECONDS) == 8 and all(name.endswith("_seconds") for name in SECONDS)
    load(None, dict.fromkeys(SECONDS, 365 * 24 * 3600), {})
    load(None, {"verify.every": "365d"}, {})
    load(None, {"sweep.older_than_seconds": 10 * 365 * 24 * 3600}, {})


@pytest.mark.parametrize("every", ["400d", "0.5s"])
def test_a_verification_interval_has_bounds(every: str) -> None:
    assert f"'never' or a duration from 1s to 366d, not {every}" in problems(
        None, verify__every=every
    )


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("[kafka]\ntopik = 'x'", "kafka.topic"),
        ("[kafak]\ntopic = 'x'", "kafka.topic"),
        ("[delivery]\nwindow_mesages = 1", "delivery.window_messages"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(file: Path, text: str, near: str) -> None:
    file.write_text(text)

    assert f"is unknown (did you mean {near}?)" in problems(file)


def test_a_value_outside_a_section_is_an_error(file: Path) -> None:
    file.write_text("topic = 'x'")

    assert "topic is outside of a [section]" in problems(file)


def test_an_unknown_variable_suggests_the_nearest() -> None:
    text = problems(None, {"JOB_BRIDGE_KAFKA_TOPIK": "x"})

    assert "JOB_BRIDGE_KAFKA_TOPIK is unknown (did you mean JOB_BRIDGE_KAFKA_TOPIC?)" in text


def test_variables_of_others_do_not_matter() -> None:
    assert (
        load(None, {}, {"KAFKA_TOPIC": "x", "JOB_BRIDGE_CONFIG": "x", "PATH": "x"}).kafka.topic
        == "job-transitions"
    )


def test_settings_that_are_not_there_yet_are_unknown() -> None:
    assert "JOB_BRIDGE_SLICES_COUNT is unknown" in problems(None, {"JOB_BRIDGE_SLICES_COUNT": "2"})
    assert "delivery.mode" in problems(None, delivery__mode="exactly-once").replace(
        "--delivery-mode", "delivery.mode"
    )


def test_kubernetes_service_variables_are_ignored() -> None:
    variables = {
        "JOB_BRIDGE_SERVICE_HOST": "10.43.0.7",
        "JOB_BRIDGE_SERVICE_PORT": "9595",
        "JOB_BRIDGE_SERVICE_PORT_METRICS": "9595",
        "JOB_BRIDGE_PORT": "tcp://10.43.0.7:9595",
        "JOB_BRIDGE_PORT_9595_TCP": "tcp://10.43.0.7:9595",
        "JOB_BRIDGE_PORT_9595_TCP_PROTO": "tcp",
        "JOB_BRIDGE_PORT_9595_TCP_ADDR": "10.43.0.7",
        "JOB_BRIDGE_METRICS_SERVICE_HOST": "10.43.0.8",
        "JOB_BRIDGE_METRICS_PORT": "tcp://10.43.0.8:9595",
    }

    assert load(None, {}, variables) == load(None, {}, {})
    assert "JOB_BRIDGE_PORT is unknown" in problems(None, {"JOB_BRIDGE_PORT": "9595"})


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("delivery", "window_messages"),
        ("http", "port"),
        ("delivery", "drain_seconds"),
        ("kafka", "topic"),
    ],
)
def test_booleans_are_refused(section: str, name: str, file: Path) -> None:
    file.write_text(f"[{section}]\n{name} = true\n")

    assert f"{section}.{name}: a boolean is not accepted here" in problems(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mongo__username": "u"}, "set both --mongo-username and mongo.password"),
        ({"kafka__security_protocol": "SASL_SLL"}, "--kafka-security-protocol"),
        (
            {"kafka__security_protocol": "SASL_SSL"},
            "needs kafka.sasl_username and kafka.sasl_password",
        ),
        (
            {"kafka__sasl_username": "me"},
            "--kafka-sasl-username is not used with kafka.security_protocol = PLAINTEXT",
        ),
        (
            {"kafka__sasl_password": "canary", "kafka__security_protocol": "SSL"},
            " is not used with --kafka-security-protocol = SSL",
        ),
        (
            {
                "kafka__ssl_cafile": "ca.pem",
                "kafka__sasl_username": "me",
                "kafka__sasl_password": "canary",
                "kafka__security_protocol": "SASL_PLAINTEXT",
            },
            "--kafka-ssl-cafile is not used with --kafka-security-protocol = SASL_PLAINTEXT",
        ),
        ({"jobs__profile": "custom"}, "needs jobs.id_field and jobs.state_field"),
        (
            {
                "jobs__profile": "custom",
                "jobs__id_field": "a",
                "jobs__state_field": "s",
                "jobs__transition_trans_id": "",
            },
            "must not be empty",
        ),
        ({"jobs__id_field": "x"}, "--jobs-id-field needs jobs.profile = custom"),
        (
            {"jobs__profile": "custom", "jobs__id_field": "a.b", "jobs__state_field": "s"},
            "not a plain field name",
        ),
        ({"start__from": "yesterday"}, "not an ISO 8601 time"),
        ({"start__from": "2026-03-02T18:00:00"}, "has no zone"),
        ({"kafka__topic": "x" * 246}, "1 to 245 characters"),
        ({"kafka__topic": ""}, "1 to 245 characters"),
        ({"checkpoint__lease_seconds": 0.5}, "--checkpoint-lease-seconds"),
        ({"delivery__window_bytes": 0}, "--delivery-window-bytes"),
        ({"http__port": -1}, "--http-port"),
    ],
)
def test_an_impossible_value_is_refused(options: dict[str, Any], words: str) -> None:
    assert words in problems(None, **options)


def test_a_missing_or_broken_file_is_named(file: Path) -> None:
    with pytest.raises(Misconfigured, match=r"settings\.toml: No such file"):
        load(file, {}, {})
    file.write_text("[kafka\ntopic = x")
    with pytest.raises(Misconfigured, match=r"settings\.toml is not valid TOML"):
        load(file, {}, {})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(Misconfigured, match="not UTF-8"):
        load(file, {}, {})


def test_settings_are_frozen() -> None:
    settings = load(None, {}, {})

    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.topic = "other"  # type: ignore[misc]


def test_names_of_settings_are_unique() -> None:
    assert variable("checkpoint.interval_seconds") == "JOB_BRIDGE_CHECKPOINT_INTERVAL_SECONDS"
    assert option("checkpoint.interval_seconds") == "--checkpoint-interval-seconds"
    assert len({variable(name) for name in setting_names()}) == len(setting_names())
    assert len({option(name) for name in setting_names()}) == len(setting_names())


def test_every_setting_is_described() -> None:
    assert [name for name, field in setting_names().items() if not field.description] == []


def test_the_example_holds_every_setting_and_loads(file: Path) -> None:
    lines = [
        line.removeprefix("#").strip() if line.startswith("#") and "=" in line else line
        for line in EXAMPLE.read_text().splitlines()
    ]
    names: list[str] = []
    section = ""
    for line in lines:
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line:
            names.append(f"{section}.{line.partition('=')[0].strip()}")

    assert set(setting_names()) <= set(names)
    tomllib.loads(EXAMPLE.read_text())
    load(EXAMPLE, {}, {})
