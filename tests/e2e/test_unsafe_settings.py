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
