"""Settings that work and are given in an unsafe way, or are ignored: each command warns."""

from __future__ import annotations

from tests.support.command import SECRET, run_command


def test_unsafe_and_ignored_settings_are_warned_about() -> None:
    """A password in the list of processes, and a variable of Kubernetes."""
    uri = f"mongodb://bridge:{SECRET}@127.0.0.1:1"
    service = {"JOB_BRIDGE_HTTP_PORT": "tcp://10.43.0.7:8080"}

    ended = run_command("sweep", "--once", "--mongo-uri", uri, settings=service)

    assert ended.code == 78 and "does not use tags" in ended.error
    assert "--mongo-uri contains a password" in ended.err
    assert "JOB_BRIDGE_HTTP_PORT is Kubernetes' variable for a service" in ended.err


def test_an_unchecked_certificate_needs_the_option() -> None:
    """Without it the settings are refused; with it the command continues."""
    settings = {"mongo.uri": f"mongodb://u:{SECRET}@127.0.0.1:1/?tls=true&tlsInsecure=true"}

    refused = run_command("sweep", "--once", settings=settings)
    accepted = run_command("sweep", "--once", "--insecure", settings=settings)

    assert refused.code == 78 and "JOB_BRIDGE_MONGO_URI contains tlsInsecure" in refused.error
    assert "accept it with --insecure" in refused.error
    assert accepted.code == 78 and "does not use tags" in accepted.error
