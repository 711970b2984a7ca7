"""Tokens from a real endpoint: when they are fetched, and what each failure means."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from bridge.demo.servers.process import free_port
from bridge.errors import BridgeError, Misconfigured, NotPermitted, Retryable, Unreachable
from bridge.kafka.tokens import Login, TokenSource, token_source
from bridge.settings.kafka import KafkaSettings
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.servers import certificates
from tests.support.servers.certificates import Certificates
from tests.support.servers.token_endpoint import CLIENT, TokenEndpoint

SECRET = "canary-fEd3"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[TokenEndpoint]:
    certificates.required()
    with TokenEndpoint(tmp_path / "tokens", SECRET) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would answer for the hosts that do not exist."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def clock(endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The time of this process, in which tokens live for 100 s."""
    clock = FakeClock()
    monkeypatch.setattr("time.time", clock.now)
    endpoint.lifetime = 100.0
    return clock


def login(url: str, **changed: str) -> Login:
    return Login(url, CLIENT, SECRET, "", "")._replace(**changed)


def configured(url: str, **changed: str) -> KafkaSettings:
    given = {
        "kafka__topic": "jobs",
        "kafka__security_protocol": "SASL_PLAINTEXT",
        "kafka__sasl_mechanism": "OAUTHBEARER",
        "kafka__sasl_username": CLIENT,
        "kafka__sasl_password": SECRET,
        "kafka__sasl_oauth_token_url": url,
    }
    return settings(**given | changed).kafka


def refusal(source: TokenSource) -> BridgeError:
    with pytest.raises(BridgeError) as raised:
        source.token()
    assert SECRET not in str(raised.value) and raised.value.part == "kafka"
    return raised.value


def test_clients_share_a_token_until_it_ages(endpoint: TokenEndpoint, clock: FakeClock) -> None:
    """80 % of its life, so that it is replaced while it is still valid."""
    first = token_source(configured(endpoint.url)).token()

    clock.advance(79)
    assert token_source(configured(endpoint.url)).token() == first
    clock.advance(2)
    assert token_source(configured(endpoint.url)).token() != first
    assert endpoint.granted == 2


def test_another_secret_or_scope_is_another_token(endpoint: TokenEndpoint) -> None:
    first = token_source(configured(endpoint.url, kafka__sasl_oauth_scope="a b"))

    assert token_source(configured(endpoint.url, kafka__sasl_oauth_scope="a b")) is first
    assert token_source(configured(endpoint.url)) is not first
    assert token_source(configured(endpoint.url, kafka__sasl_password="x")) is not first
    first.token()
    assert endpoint.scopes == ["a b"]


def test_a_valid_token_outlives_its_endpoint(endpoint: TokenEndpoint, clock: FakeClock) -> None:
    """It is replaced early: until it has expired, a failure is not an error."""
    source = TokenSource(login(endpoint.url))
    first = source.token()
    endpoint.faulty = (503, b"")

    clock.advance(99)
    assert source.token() == first
    clock.advance(1)
    assert type(refusal(source)) is Retryable


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, b'{"error": "invalid_scope"}', NotPermitted, "400 Bad Request (invalid_scope)"),
        (401, b"", NotPermitted, "refuses this client: 401 Unauthorized"),
        (403, b"<html>no</html>", NotPermitted, "refuses this client: 403 Forbidden"),
        (302, b"", Misconfigured, "does not grant tokens: 302 Found"),
        (404, b"[]", Misconfigured, "does not grant tokens: 404 Not Found"),
        (429, b'{"error": "slow_down", "error_description": 5}', Retryable, "429 Too Many Requ"),
        (503, b"", Retryable, "at the moment: 503 Service Unavailable"),
        (200, b"hello", Misconfigured, "does not contain a token"),
        (200, b"[]", Misconfigured, "does not contain a token"),
        (200, b'{"access_token": 7}', Misconfigured, "does not contain a token"),
        (200, b'{"access_token": "opaque"}', Misconfigured, "that is a JWT with an expiry"),
        (200, b'{"access_token": "a.e30.c"}', Misconfigured, "that is a JWT with an expiry"),
    ],
)
def test_each_answer_has_its_verdict(
    status: int, body: bytes, kind: type[BridgeError], words: str, endpoint: TokenEndpoint
) -> None:
    endpoint.faulty = (status, body)

    error = refusal(TokenSource(login(endpoint.url)))

    assert type(error) is kind and words in error.what


def test_a_wrong_secret_is_refused(endpoint: TokenEndpoint) -> None:
    error = refusal(TokenSource(login(endpoint.url, secret=f"wrong-{SECRET}")))

    assert type(error) is NotPermitted
    assert "401 Unauthorized (invalid_client: no such client)" in error.what
    assert "kafka.sasl_password" in error.todo


@pytest.mark.parametrize("secret", [SECRET, "a b/+%ü", "x:y"])
@pytest.mark.parametrize("length", [1, 150, 190])
def test_no_answer_shows_the_secret(secret: str, length: int, endpoint: TokenEndpoint) -> None:
    """Some servers repeat the request in their error; its text is cut."""
    pair = f"{CLIENT}:{secret}"
    forms = [secret, quote_plus(secret), f"Basic {b64encode(pair.encode()).decode()}", pair]
    for form in forms:
        text = f"{'-' * length} {form} is not known"
        endpoint.faulty = (400, json.dumps({"error": "no", "error_description": text}).encode())
        with pytest.raises(NotPermitted) as raised:
            TokenSource(login(endpoint.url, secret=secret)).token()

        shown = raised.value.what
        assert "(hidden) is not known)" in shown or length > 180
        assert secret[:3] not in shown and forms[2][:16] not in shown


def test_an_expired_token_points_to_the_clocks(endpoint: TokenEndpoint) -> None:
    endpoint.lifetime = -60.0

    error = refusal(TokenSource(login(endpoint.url)))

    assert type(error) is Misconfigured
    assert "a token that expired 6" in error.what and "Check the clocks" in error.todo


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:{port}", "Connection refused"),
        ("idp.invalid", "does not answer: "),
        ("idp..invalid", "does not answer: "),
    ],
)
def test_an_unreachable_endpoint_is_named(address: str, words: str) -> None:
    url = f"http://{address.format(port=free_port())}/token"

    error = refusal(TokenSource(login(url)))

    assert type(error) is Unreachable and words in error.what


def test_a_silent_endpoint_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.tokens._ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refusal(TokenSource(login(f"http://127.0.0.1:{silent.getsockname()[1]}/")))

    assert type(error) is Unreachable and "timed out" in error.what


def test_a_missing_authority_keeps_a_valid_token(
    endpoint: TokenEndpoint, clock: FakeClock, tmp_path: Path
) -> None:
    """A file of authorities is missing for a moment while it is replaced."""
    source = TokenSource(login(endpoint.url))
    first = source.token()
    source._login = login(endpoint.url, authorities=str(tmp_path / "missing.pem"))

    clock.advance(90)
    assert source.token() == first
    clock.advance(20)
    assert type(refusal(source)) is Unreachable


def test_a_certificate_needs_its_authority(tmp_path: Path) -> None:
    certificates.required()
    files = Certificates(tmp_path / "tls", "server")
    with TokenEndpoint(tmp_path / "tokens", SECRET, files.file("server")) as endpoint:
        error = refusal(token_source(configured(endpoint.url)))
        trusting = configured(endpoint.url, kafka__sasl_oauth_cafile=files.authority)
        token = token_source(trusting).token()

    assert type(error) is Misconfigured and "kafka.sasl_oauth_cafile" in error.todo
    assert "is not trusted: unable to get local issuer certificate" in error.what
    assert token.count(".") == 2


def test_threads_share_a_single_request(endpoint: TokenEndpoint) -> None:
    source = TokenSource(login(endpoint.url))
    threads = [threading.Thread(target=source.token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert endpoint.granted == 1
