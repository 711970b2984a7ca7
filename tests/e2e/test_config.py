"""``job-bridge config``: settings with their sources, validation, and files for operators."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, SECRET, EndedCommand, GivenSettings, run_command

FILES = {
    ("example",): "job-bridge.example.toml",
    ("example", "pipeline-jobs"): "pipeline-jobs.example.toml",
    ("rights", "mongo"): "mongodb-role.js",
    ("rights", "kafka"): "kafka-acls.sh",
    ("alerts",): "prometheus/alerts.yml",
    ("rules",): "prometheus/recording-rules.yml",
    ("dashboard",): "grafana/job-bridge.json",
    ("systemd",): "systemd/job-bridge@.service",
}


def config(*arguments: str, **settings: str) -> EndedCommand:
    """Run ``job-bridge config`` with settings as ``section__name``, or variables as they are."""
    given: GivenSettings = {name.replace("__", "."): value for name, value in settings.items()}
    return run_command("config", *arguments, settings=given)


def shown(*arguments: str, **settings: str) -> dict[str, dict[str, object]]:
    ended = config("show", "--json", *arguments, **settings)
    assert ended.code == 0, ended.err
    return {setting["name"]: setting for setting in json.loads(ended.out)}


def validated(*arguments: str, code: int, **settings: str) -> dict[str, Any]:
    """The result of ``validate --json``; checks the exit code."""
    ended = config("validate", "--json", *arguments, **settings)
    assert ended.code == code, ended.out + ended.err
    result: dict[str, Any] = json.loads(ended.out)
    assert result["valid"] is (code == 0)
    return result


@pytest.mark.parametrize("arguments", FILES, ids=" ".join)
def test_files_for_operators_are_printed(arguments: tuple[str, ...]) -> None:
    assert config(*arguments).out == (ROOT / "config" / FILES[arguments]).read_text()


def test_the_example_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "job-bridge.toml"
    path.write_text(config("example").out)

    result = validated("--strict", "--config", str(path), code=0)

    assert result["problems"] == result["warnings"] == []


def test_show_names_the_source_of_each_setting(tmp_path: Path) -> None:
    path = tmp_path / "job-bridge.toml"
    path.write_text('[kafka]\ntopic = "file"\nheaders = "none"\n')

    settings = shown(
        "--config", str(path), "--kafka-topic", "option", mongo__database="db", log__level="debug"
    )

    assert settings["kafka.topic"]["source"] == "--kafka-topic"
    assert settings["kafka.topic"]["value"] == "option"
    assert settings["kafka.headers"]["source"] == str(path)
    assert settings["log.level"]["source"] == "JOB_BRIDGE_LOG_LEVEL"
    assert settings["http.port"] == {
        "name": "http.port",
        "value": 9595,
        "source": "default",
        "secret": False,
    }


def test_show_resolves_values_that_others_decide() -> None:
    settings = shown(
        mongo__database="db",
        jobs__profile="ee2",
        delivery__mode="exactly-once",
        checkpoint__store="kafka",
        kafka__read_back="off",
    )

    assert settings["checkpoint.name"]["value"] == "db.ee2_jobs"
    assert settings["jobs.state_field"]["value"] == "status"
    assert settings["delivery.window_messages"]["value"] == 10_000
    assert settings["recovery.margin_seconds"]["value"] == 60


def test_show_hides_every_secret(tmp_path: Path) -> None:
    """``run_command`` fails if the output contains the secret."""
    secret = tmp_path / "password"
    secret.write_text(SECRET)
    given = {
        "mongo__uri": f"mongodb://user:{SECRET}@localhost",
        "kafka__security_protocol": "SASL_SSL",
        "kafka__sasl_username": "bridge",
        "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE": str(secret),
        "kafka__ssl_password": SECRET,
    }

    settings = shown(**given)

    assert settings["kafka.sasl_password"]["source"] == "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE"
    assert [name for name, setting in settings.items() if setting["value"] == SECRET] == []
    assert settings["mongo.uri"]["value"] is None and settings["mongo.uri"]["secret"] is True
    table = config("show", **given).out
    assert table.startswith("setting ") and table.count("(secret)") == 3


def test_show_prints_every_value_whole() -> None:
    servers = ",".join(f"broker-{number}.example.com:9092" for number in range(20))

    lines = config("show", kafka__bootstrap_servers=servers).out.splitlines()

    (line,) = [line for line in lines if line.startswith("kafka.bootstrap_servers ")]
    assert f'"{servers}"' in line and line.endswith("JOB_BRIDGE_KAFKA_BOOTSTRAP_SERVERS")


def test_validate_reports_all_problems_together() -> None:
    result = validated(code=78, kafka__topic="a b", http__port="x", JOB_BRIDGE_LOG_LEVL="info")

    assert len(result["problems"]) == 3
    assert any("JOB_BRIDGE_LOG_LEVL is unknown" in problem for problem in result["problems"])
    plain = config("validate", kafka__topic="a b", http__port="x")
    assert plain.code == 78 and "'job-bridge config example' prints every setting" in plain.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"mongo__uri": f"mongodb://u:{SECRET}@h/?bogus=x"},
            "mongo.uri does not work: Unknown opt",
        ),
        ({"mongo__uri": f"mongodb://u:{SECRET}@x@h"}, "Username and password must be escaped"),
        ({"mongo__uri": "mongodb+srv://h/?tlsCAFile=/gone"}, "tlscafile file is not readable"),
        ({"kafka__security_protocol": "SSL", "kafka__ssl_cafile": "/gone"}, "cannot read /gone"),
        ({"http__certfile": "/gone.pem"}, "http.certfile"),
        (
            {"delivery__mode": "background-jobs", "sweep__job_tag": "state"},
            "sweep.job_tag = state is a field that the service uses",
        ),
        ({"JOB_BRIDGE_CONFIG": "/gone.toml"}, "Cannot read the settings file /gone.toml"),
    ],
    ids=[
        "option",
        "password",
        "authority of MongoDB",
        "authorities",
        "certificate",
        "tag",
        "settings file",
    ],
)
def test_validate_reads_what_settings_name(settings: dict[str, str], words: str) -> None:
    (problem,) = validated(code=78, **settings)["problems"]

    assert words in problem


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"checkpoint__file": "x.json"}, "JOB_BRIDGE_CHECKPOINT_FILE has no effect"),
        ({"sweep__job_tag": "unsent"}, "it needs delivery.mode = background-jobs"),
        ({"JOB_BRIDGE_HTTP_PORT": "tcp://10.0.0.1:9595"}, "Kubernetes' variable for a service"),
    ],
    ids=["store", "mode", "service link"],
)
def test_strict_refuses_warnings(settings: dict[str, str], words: str) -> None:
    (warning,) = validated(code=0, **settings)["warnings"]
    strict = config("validate", "--strict", **settings)

    assert words in warning
    assert strict.code == 78 and f"warning: {warning}" in strict.out
    assert "--strict refuses 1 warning(s)" in strict.err


def test_the_help_is_not_cut() -> None:
    assert "..." not in config("--help").out.partition("Commands:")[2]


def test_the_printed_second_collection_is_toml() -> None:
    assert tomllib.loads(config("example", "pipeline-jobs").out)["mongo"]["collection"]
