"""The settings of OAUTHBEARER, and those that go with it."""

from __future__ import annotations

import pytest

from bridge.errors import Misconfigured
from tests.support.factories import settings

OAUTH = {
    "kafka__topic": "jobs",
    "kafka__security_protocol": "SASL_SSL",
    "kafka__sasl_mechanism": "OAUTHBEARER",
    "kafka__sasl_username": "client",
    "kafka__sasl_password": "canary-fEd3",
    "kafka__sasl_oauth_token_url": "https://idp.example/token",
}
SCRAM = OAUTH | {"kafka__sasl_mechanism": "SCRAM-SHA-512", "kafka__sasl_oauth_token_url": ""}


def test_tokens_are_used_with_their_mechanism() -> None:
    assert settings(**OAUTH).kafka.uses_tokens
    assert not settings(**SCRAM).kafka.uses_tokens
    assert not settings(kafka__topic="jobs", kafka__sasl_mechanism="OAUTHBEARER").kafka.uses_tokens


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"kafka__sasl_oauth_token_url": ""}, "OAUTHBEARER needs --kafka-sasl-oauth-token-url"),
        ({"kafka__sasl_username": ""}, "SASL_SSL needs --kafka-sasl-username and "),
        (
            {"kafka__sasl_mechanism": "PLAIN"},
            "--kafka-sasl-oauth-token-url is not used: it needs .* = OAUTHBEARER",
        ),
    ],
)
def test_incomplete_settings_are_refused(changed: dict[str, str], problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem) as raised:
        settings(**OAUTH | changed)

    assert "canary-fEd3" not in str(raised.value)


@pytest.mark.parametrize("name", ["scope", "cafile"])
def test_token_settings_need_the_mechanism(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"--kafka-sasl-oauth-{name} is not used"):
        settings(**SCRAM | {f"kafka__sasl_oauth_{name}": "x"})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/realms/x/token",
        "https://idp.example/token?tenant=a",
        "https://[2001:db8::1]/token",
        "HTTPS://idp.example",
    ],
)
def test_urls_of_http_are_accepted(url: str) -> None:
    given = settings(**OAUTH | {"kafka__sasl_oauth_token_url": url})

    assert given.kafka.sasl_oauth_token_url == url


@pytest.mark.parametrize(
    "url",
    [
        "idp.example/token",
        "ftp://idp.example/token",
        "file:///etc/passwd",
        "https:///token",
        "https://idp.example/a b",
        "https://idp.example/tok\u00e9n",
        "https://idp.example/token#x",
        "https://idp.example:99999/token",
        "https://[2001/token",
        "https://user:canary-fEd3@idp.example/token",
        "https://user:canary-fEd3",
        "https://[canary-fEd3]/token",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="--kafka-sasl-oauth-token-url: ") as raised:
        settings(**OAUTH | {"kafka__sasl_oauth_token_url": url})

    assert "canary-fEd3" not in str(raised.value)
