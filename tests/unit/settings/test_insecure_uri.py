"""Connection strings without TLS, and with TLS that checks no certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings.mongo_uri import plain_hosts, unchecked_options
from tests.support.settings_reading import problems, reading

UNCHECKED = "mongodb://bridge:canary-fEd3@host/?tls=true&tlsInsecure=true"


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("mongodb://h/?tlsInsecure=true", ["tlsInsecure"]),
        ("mongodb+srv://h/?TLSINSECURE=true", ["tlsInsecure"]),
        ("mongodb://h/?tls=true;tlsAllowInvalidHostnames=%74rue", ["tlsAllowInvalidHostnames"]),
        ("mongodb://h?tlsAllowInvalidCertificates=true", ["tlsAllowInvalidCertificates"]),
        ("mongodb://h/?tlsInsecure=false&tls=true", []),
        ("mongodb://h/?appName=tlsInsecure=true", []),
        ("mongodb://h/", []),
        ("nonsense", []),
    ],
)
def test_unchecked_options_are_found(uri: str, options: list[str]) -> None:
    assert unchecked_options(uri) == options


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://a:1,b:2/db?replicaSet=rs0", ["a", "b"]),
        ("mongodb://user:p%40ss@a.example/?x=y@z/", ["a.example"]),
        ("mongodb://[2001:db8::1]:27017", ["2001:db8::1"]),
        ("mongodb://a?tls=false", ["a"]),
        ("mongodb://a/?tlsInsecure=true", ["a"]),
        ("mongodb+srv://a/?tls=false", ["a"]),
        ("mongodb+srv://a", []),
        ("mongodb://a/?tls=true", []),
        ("mongodb://a/?SSL=true", []),
        ("mongodb://a/?tlsCAFile=/ca.pem", []),
        ("nonsense", []),
    ],
)
def test_hosts_without_tls_are_found(uri: str, hosts: list[str]) -> None:
    assert plain_hosts(uri) == hosts


@pytest.mark.parametrize("name", ["JOB_BRIDGE_MONGO_URI", "JOB_BRIDGE_MONGO_URI_FILE"])
@pytest.mark.parametrize("value", ["canary-fEd3", "user:canary@host", "http://canary-fEd3", ""])
def test_a_word_is_not_a_uri(name: str, value: str, tmp_path: Path) -> None:
    """PyMongo would take a password here for a host, and errors would show it."""
    path = tmp_path / "secret"
    path.write_text(value)

    said = problems(None, {name: str(path) if name.endswith("FILE") else value})

    assert f"{name}: not a MongoDB connection string, which starts with mongodb://" in said
    assert "canary" not in said


def test_an_unchecked_uri_is_refused() -> None:
    said = problems(None, {"JOB_BRIDGE_MONGO_URI": UNCHECKED})

    assert "JOB_BRIDGE_MONGO_URI contains tlsInsecure" in said and "--insecure" in said
    assert "canary" not in said


def test_an_unchecked_uri_may_be_accepted() -> None:
    named = {"JOB_BRIDGE_MONGO_URI": UNCHECKED, "JOB_BRIDGE_MONGO_INSECURE": "yes"}

    assert reading(named).mongo.uri.get_secret_value() == UNCHECKED
