"""Invalid settings: all problems are reported at once, by their given names; nothing starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.command import SECRET, GivenSettings, run_command

BROKEN = f"""
[kafka]
topic = "under:score"
sasl_pasword = "{SECRET}"
sasl_password = ["{SECRET}"]
[checkpiont]
name = "x"
[http]
port = 99999
"""


def complaint(*arguments: str, settings: GivenSettings) -> str:
    """The error output of ``run``; checks the exit code and the frame that all such errors have."""
    ended = run_command("run", *arguments, settings=settings)
    assert ended.code == 78
    assert ended.out == ""
    assert ended.err.startswith("job-bridge: configuration: ")
    assert "Nothing was read or sent" in ended.err
    return ended.err


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "bridge.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *(
            ("mongo.database", value, "not a valid name of a MongoDB database")
            for value in ("a b", "a.b", "$x", 'a"b', "x" * 64)
        ),
        *(("mongo.database", value, "MongoDB's own") for value in ("admin", "local", "config")),
        ("checkpoint.database", "a b", "not a valid name of a MongoDB database"),
        *(
            ("mongo.collection", value, "not a valid name of a jobs collection")
            for value in ("a$b", ".x", "x.", "a..b", "system.profile")
        ),
        *(
            ("start.from", value, "from 1970 to 2106")
            for value in ("1950-01-01T00:00:00Z", "9999-01-01T00:00:00Z")
        ),
    ],
)
def test_values_that_mongodb_cannot_store_are_refused(name: str, value: str, words: str) -> None:
    error = complaint(settings={name: value})

    assert f"JOB_BRIDGE_{name.replace('.', '_').upper()}: " in error and words in error


def test_all_problems_are_reported_by_their_given_names(tmp_path: Path) -> None:
    path = file(tmp_path, BROKEN)
    given = {
        "kafka.sasl_mechanism": "plan",
        "JOB_BRIDGE_DELIVRY_MODE": SECRET,
        "JOB_BRIDGE_MONGO_PASSWORD_FILE": "/nowhere/password",
    }

    error = complaint(
        "--config",
        str(path),
        "--checkpoint-store",
        "etcd",
        "--start-from",
        "yesterday",
        settings=given,
    )

    assert "10 problem(s)" in error
    assert len(error.splitlines()) == 12
    assert f"{path}: kafka.topic: Illegal character ':' at position 6" in error
    assert f"{path}: kafka.sasl_pasword is unknown (did you mean kafka.sasl_password?)" in error
    assert f"{path}: kafka.sasl_password: Input should be a valid string" in error
    assert f"{path}: checkpiont.name is unknown (did you mean checkpoint.name?)" in error
    assert f"{path}: http.port: Input should be less than or equal to 65535, not 99999" in error
    assert "JOB_BRIDGE_KAFKA_SASL_MECHANISM: Input should be 'PLAIN'" in error
    assert "JOB_BRIDGE_DELIVRY_MODE is unknown (did you mean JOB_BRIDGE_DELIVERY_MODE?)" in error
    assert (
        "JOB_BRIDGE_MONGO_PASSWORD_FILE: cannot read the file that it names: "
        "No such file or directory" in error
    )
    assert "--checkpoint-store: Input should be 'mongo', 'file' or 'kafka', not 'etcd'" in error
    assert "--start-from: 'yesterday' is not an ISO 8601 time" in error


def test_only_the_source_in_use_is_checked(tmp_path: Path) -> None:
    """A bad value in a weaker source is ignored."""
    path = file(tmp_path, '[log]\nlevel = "loud"\nformat = "xml"\n')

    error = complaint(
        "--config", str(path), "--log-level", "louder", settings={"log.format": "csv"}
    )

    assert "2 problem(s)" in error
    assert "--log-level: " in error and "'louder'" in error
    assert "JOB_BRIDGE_LOG_FORMAT: " in error and "'csv'" in error


@pytest.mark.parametrize("protocol", ["SASL_SLL", "ssl", "", "plaintext"])
def test_a_misspelt_security_protocol_is_not_plain_text(protocol: str) -> None:
    error = complaint(settings={"kafka.security_protocol": protocol})

    assert (
        "JOB_BRIDGE_KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL', "
        f"'SASL_PLAINTEXT' or 'SASL_SSL', not '{protocol}'" in error
    )


@pytest.mark.parametrize("topic", ["job:transitions", "a b", "ümlaut", "", ".", "..", "x" * 246])
def test_an_invalid_topic_name_is_refused(topic: str) -> None:
    error = complaint(settings={"kafka.topic": topic})

    assert "JOB_BRIDGE_KAFKA_TOPIC: " in error
    assert "letters, digits, . _ and - only" in error or "1 to 245 characters" in error


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"mongo.username": "bridge"},
            "set both JOB_BRIDGE_MONGO_USERNAME and mongo.password, or neither",
        ),
        (
            {"mongo.password": SECRET},
            "set both mongo.username and JOB_BRIDGE_MONGO_PASSWORD, or neither",
        ),
        (
            {"kafka.security_protocol": "SASL_SSL"},
            "JOB_BRIDGE_KAFKA_SECURITY_PROTOCOL = SASL_SSL needs "
            "kafka.sasl_username and kafka.sasl_password",
        ),
        ({"jobs.id_field": "id"}, "JOB_BRIDGE_JOBS_ID_FIELD needs jobs.profile = custom"),
        (
            {"jobs.profile": "custom"},
            "JOB_BRIDGE_JOBS_PROFILE = custom needs jobs.id_field and jobs.state_field",
        ),
    ],
)
def test_dependent_settings_are_named_as_given(given: GivenSettings, words: str) -> None:
    assert words in complaint(settings=given)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("JOB_BRIDGE_KAFKA", "JOB_BRIDGE_KAFKA_"),
        ("JOB_BRIDGE_MONGO", "JOB_BRIDGE_MONGO_"),
        ("JOB_BRIDGE_KAFKA_SASL__PASSWORD", "JOB_BRIDGE_KAFKA_SASL_PASSWORD"),
        ("JOB_BRIDGE_CHECKPOINT_INTERVAL", "JOB_BRIDGE_CHECKPOINT_INTERVAL_SECONDS"),
        ("job_bridge_kafka_tpic", "JOB_BRIDGE_KAFKA_TOPIC"),
        ("job_bridge_kafka_topic", "JOB_BRIDGE_KAFKA_TOPIC"),
    ],
)
def test_an_unknown_variable_gets_the_nearest_known_one(name: str, nearest: str) -> None:
    ended = run_command("run", settings={name: SECRET})

    assert ended.code == 78
    assert f"{name} is unknown (did you mean {nearest}" in ended.error


def test_a_secret_from_two_places_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{SECRET}\n")

    error = complaint(
        settings={"kafka.sasl_password": SECRET, "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE": str(secret)}
    )

    assert (
        "JOB_BRIDGE_KAFKA_SASL_PASSWORD and JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE "
        "are both set: keep one" in error
    )


def test_only_secrets_may_come_from_files(tmp_path: Path) -> None:
    error = complaint(settings={"JOB_BRIDGE_KAFKA_TOPIC_FILE": str(tmp_path)})

    assert "JOB_BRIDGE_KAFKA_TOPIC_FILE is unknown (did you mean JOB_BRIDGE_KAFKA_TOPIC?)" in error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[kafka]\nsasl_password = {SECRET}\n", "Invalid value (at line 2, column 17)"),
        (f'[mongo]\nuri = "{SECRET}', "Unterminated string (at end of document)"),
        ('[http]\nport = 1\n[http]\nhost = "x"\n', "(at line 3, column 6)"),
        (b"[kafka]\ntopic = '\xff\xfe'\n", "it is not UTF-8 text"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    path = file(tmp_path, text)

    error = complaint("--config", str(path), settings={})

    assert str(path) in error and words in error


def test_a_missing_file_is_refused() -> None:
    error = complaint(settings={"JOB_BRIDGE_CONFIG": "/nowhere/bridge.toml"})

    assert "Cannot read the settings file /nowhere/bridge.toml: No such file or directory" in error


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    # Not by its permissions: root, whom tests often run as, may read everything.
    loop = tmp_path / "bridge.toml"
    loop.symlink_to(loop)

    error = complaint("--config", str(loop), settings={})

    assert (
        f"Cannot read the settings file {loop}: " in error
        and "Check the path and its permissions" in error
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--nope"], "No such option"),
        (["run", "now"], "unexpected extra argument"),
        (["run", "--config", "/"], "is a directory"),
        (["tail", "--count", "0"], "--count"),
        (["token", "set"], "Missing argument 'TIME|now|TOKEN'"),
        (["topics", "create", "--partitions", "none"], "--partitions"),
    ],
)
def test_an_invalid_command_line_is_a_usage_error(arguments: list[str], words: str) -> None:
    ended = run_command(*arguments, settings={})

    assert ended.code == 64
    assert words in ended.err and "--help" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--from", "", "--dry-run"),
        ("replay", "--since", "", "--dry-run"),
        ("replay", "--from", "1h", "--to", "", "--dry-run"),
        ("verify", "--since", ""),
        ("tail", "--since", ""),
        ("dead-letters", "list", "--since", ""),
        ("dead-letters", "retry", "--all", "--since", ""),
        ("tail", "--since", "36500d"),
    ],
)
def test_an_empty_time_never_means_all(arguments: tuple[str, ...], settings: GivenSettings) -> None:
    """A shell's variable that is not set."""
    ended = run_command(*arguments, settings=settings)

    assert ended.code == 64
    assert ended.out == ""
    assert "is not an ISO 8601 time" in ended.error or "from 1970 to 2106" in ended.error


def test_a_port_in_use_is_refused_first(settings: GivenSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ended = run_command("run", settings={**settings, "http.port": str(port)})

    assert ended.code == 78
    assert f"Cannot serve HTTP on 127.0.0.1:{port}: Address already in use" in ended.error
    assert "Nothing was read or sent. Set http.port or http.host" in ended.error


def test_an_address_of_another_machine_cannot_be_served(settings: GivenSettings) -> None:
    ended = run_command("run", settings={**settings, "http.host": "192.0.2.1"})

    assert ended.code == 78
    assert "Cannot serve HTTP on 192.0.2.1:0: " in ended.error
