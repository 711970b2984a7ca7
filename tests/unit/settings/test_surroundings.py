"""Settings from Kubernetes, from Docker's --env-file and from editors on Windows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import Misconfigured
from bridge.settings import load
from bridge.settings.load import warnings
from tests.support.settings_reading import problems, reading

#: As Kubernetes sets them for a service named job-bridge-http.
SERVICE = {
    "JOB_BRIDGE_HTTP_SERVICE_HOST": "10.43.0.7",
    "JOB_BRIDGE_HTTP_SERVICE_PORT": "8080",
    "JOB_BRIDGE_HTTP_PORT": "tcp://10.43.0.7:8080",
    "JOB_BRIDGE_HTTP_PORT_8080_TCP": "tcp://10.43.0.7:8080",
    "JOB_BRIDGE_HTTP_PORT_8080_TCP_PROTO": "tcp",
    "JOB_BRIDGE_HTTP_PORT_8080_TCP_PORT": "8080",
    "JOB_BRIDGE_HTTP_PORT_8080_TCP_ADDR": "10.43.0.7",
}


def test_a_service_is_not_a_setting(file: Path) -> None:
    file.write_text("[http]\nport = 8080\n")

    assert load(None, {}, SERVICE) == load(None, {}, {})
    assert load(file, {}, SERVICE).http.port == 8080


def test_a_variable_that_is_ignored_is_reported() -> None:
    (warning,) = warnings({}, SERVICE)

    assert warning.startswith("JOB_BRIDGE_HTTP_PORT is Kubernetes' variable for a service")
    assert "it is ignored" in warning
    assert warnings({}, {"JOB_BRIDGE_HTTP_PORT": "8080"}) == []


def test_another_url_as_port_is_a_problem() -> None:
    assert "JOB_BRIDGE_HTTP_PORT: Input should be" in problems(
        None, {"JOB_BRIDGE_HTTP_PORT": "http://10.43.0.7:8080"}
    )


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGO_URI", "mongodb://host:27017"),
        ("MONGO_DATABASE", "jobs"),
        ("MONGO_COLLECTION", "jobs"),
        ("MONGO_USERNAME", "bridge"),
        ("KAFKA_TOPIC", "jobs"),
        ("KAFKA_BOOTSTRAP_SERVERS", "host:9092"),
        ("KAFKA_SSL_CAFILE", "/etc/ca.pem"),
        ("CHECKPOINT_NAME", "job-bridge"),
        ("CHECKPOINT_FILE", "/var/lib/checkpoint.json"),
        ("HTTP_HOST", "127.0.0.1"),
        ("HTTP_PORT", "8080"),
        ("DELIVERY_MODE", "synchronous"),
    ],
)
def test_quotes_around_a_value_are_refused(name: str, value: str, quote: str) -> None:
    said = problems(None, {f"JOB_BRIDGE_{name}": f"{quote}{value}{quote}"})

    assert f"JOB_BRIDGE_{name}: the value starts and ends with a quote" in said
    assert value not in said


def test_a_quoted_path_of_a_secret_is_refused(tmp_path: Path) -> None:
    said = problems(None, {"JOB_BRIDGE_MONGO_PASSWORD_FILE": f'"{tmp_path}"'})

    assert "JOB_BRIDGE_MONGO_PASSWORD_FILE: the path starts and ends with a quote" in said


def test_a_password_may_be_quoted() -> None:
    settings = reading(
        {"JOB_BRIDGE_MONGO_USERNAME": "bridge", "JOB_BRIDGE_MONGO_PASSWORD": '"hunter2"'}
    )

    assert settings.mongo.password.get_secret_value() == '"hunter2"'


def test_a_quote_inside_a_value_is_kept() -> None:
    assert reading({"JOB_BRIDGE_CHECKPOINT_NAME": "the job's"}).checkpoint.name == "the job's"
    assert reading({"JOB_BRIDGE_CHECKPOINT_NAME": '"'}).checkpoint.name == '"'


def test_a_byte_order_mark_is_ignored(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[kafka]\r\ntopic = 'from-windows'\r\n")

    assert load(file, {}, {}).kafka.topic == "from-windows"


def test_a_secrets_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(b"\xef\xbb\xbfhunter2\r\n")

    settings = reading(
        {"JOB_BRIDGE_MONGO_USERNAME": "bridge", "JOB_BRIDGE_MONGO_PASSWORD_FILE": str(secret)}
    )

    assert settings.mongo.password.get_secret_value() == "hunter2"


def test_several_problems_have_a_line_each() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, {"kafka.topic": "a b", "http.port": -1, "jobs.profile": "x\ny"}, {})

    first, *lines, last = str(caught.value).splitlines()
    assert first == "3 problem(s) in the settings:"
    assert sorted(line.split(":")[0] for line in lines) == [
        "  --http-port",
        "  --jobs-profile",
        "  --kafka-topic",
    ]
    assert last.startswith("Nothing was read or sent. 'job-bridge config example'")


def test_a_single_problem_is_a_single_line() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, {"kafka.topic": "a b"}, {})

    assert str(caught.value).count("\n") == 0
