"""Anonymous readers: a page says how the bridge is, and names no host, owner, job or token."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.logs.recent_warnings import LoggedWarning
from bridge.model.gap import Gap
from bridge.observability.certificates import Certificates
from bridge.observability.http_pages import Pages
from bridge.observability.http_request import Request
from bridge.observability.metrics import registry
from bridge.observability.public import public_readiness, public_text
from bridge.observability.snapshot import OwnershipState
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from tests.support.factories import at, checkpoint, settings, token, transition
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import FixedHealth, ObservedBridge, status_of

HOST = "secret-host.internal"


@pytest.fixture
def pages() -> Pages:
    """The pages of a bridge in which every part is known."""
    clock = FakeClock()
    health = FixedHealth()
    health.report(
        ownership=OwnershipState(f"process 1 on {HOST}", 1.0, (f"process 2 on {HOST}",), True),
        reasons=(f"MongoDB refuses connections at {HOST}:27017: {HOST}:27017: [Errno 111]",),
        notes=(f"the collection is missing on {HOST}:27017",),
        warnings=(
            LoggedWarning(
                first=1.0,
                last=2.0,
                level="warning",
                text=f"MongoDB refuses connections at {HOST}:27017: [Errno 111]. Nothing is lost",
                details="job_id=job-canary",
                todo=f"Start {HOST}:27017",
            ),
        ),
    )
    gap = Gap(since=None, until=at(3), recent=0.0, reread_from=None)
    bridge = ObservedBridge(
        last_beat=clock.monotonic(),
        position=at(1),
        stored=replace(checkpoint(), delivered=transition(job_id="job-canary")),
        recovery=RecoveryProgress(gap, 10, PipelineContext(Pulse(clock))),
    )
    status = status_of(bridge, clock, health)
    return Pages(status, registry(status, ["running"], Certificates(settings())))


def page(pages: Pages, path: str, *, details: bool) -> str:
    return pages.answer(Request("GET", path, details=details)).body.decode()


@pytest.mark.parametrize("path", ["/status.json", "/readyz", "/metrics", "/livez"])
def test_anonymous_pages_name_nothing(pages: Pages, path: str) -> None:
    text = page(pages, path, details=False)

    for secret in (HOST, "job-canary", token(0)[:24], token(1)[:24], token(3)[:24]):
        assert secret not in text


def test_details_name_everything(pages: Pages) -> None:
    text = page(pages, "/status.json", details=True)

    for detail in (HOST, "job-canary", token(0)[:24], token(1)[:24]):
        assert detail in text
    assert HOST in page(pages, "/readyz", details=True)


def test_anonymous_status_keeps_its_form(pages: Pages) -> None:
    """The same keys, so that a program reads both."""
    public = json.loads(page(pages, "/status.json", details=False))
    full = json.loads(page(pages, "/status.json", details=True))

    assert public.keys() == full.keys()
    assert (public["details"], full["details"]) == (False, True)
    assert public["reasons"][1] == "MongoDB refuses connections"
    (warning,) = public["warnings"]
    assert (warning["text"], warning["todo"]) == ("MongoDB refuses connections", "Start ...")
    assert public["position"] == str(at(1)).partition(" (")[0]
    assert public["ownership"] == {"owner": None, "since": 1.0, "standbys": None, "is_us": True}
    assert {name: public[name] for name in ("gauges", "counters", "state", "name")} == {
        name: full[name] for name in ("gauges", "counters", "state", "name")
    }


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("the main loop has not run for 10 s", "the main loop has not run for 10 s"),
        ("MongoDB's certificate expired at db:27017: x", "MongoDB's certificate expired"),
        ("Kafka does not answer (broker secret:9092)", "Kafka does not answer"),
        ("standby: the bridge with process 7 on secret", "standby"),
        (
            "it belongs to the bridge with process 7 on secret",
            "it belongs to the bridge with process ...",
        ),
        ("waiting for 10.0.0.7", "waiting for ..."),
        ("Job a b. c, state running: the message was not acknowledged", "Job ..."),
        ("the latest of job x, at 1", "the latest of job ..."),
        ("a job was deleted. Nothing is sent for it", "a job was deleted. Nothing is sent for it"),
        ("the broker [fd00::1]:9092 left", "the broker ... left"),
        ("node secret.internal:9092 left", "node ... left"),
        ("paused since 2026-03-02T10:11:38+00:00: why", "paused since 2026-03-02T10:11:38+00:00"),
    ],
)
def test_the_cause_is_left_out(text: str, public: str) -> None:
    assert public_text(text) == public
    assert public_readiness(f"{text}\nnote: {text}\n") == f"{public}\nnote: {public}\n"
