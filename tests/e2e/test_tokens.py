"""OAUTHBEARER: bridges and commands log in with tokens of a real endpoint at a real broker."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.demo.servers.process import poll
from tests.support.command import run_command
from tests.support.secured_bridge import SecuredBridge
from tests.support.servers import certificates, kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.token_endpoint import CLIENT, TokenEndpoint, TokenKafka
from tests.support.state_topic import create_state_topic

LIFETIME_SECONDS = 8.0
PAIR = b64encode(f"{CLIENT}:first".encode()).decode()
#: A refusal that repeats the request.
ECHO = json.dumps({"error": "invalid_client", "error_description": f"no Basic {PAIR}"}).encode()
#: Tokens that a bridge asks for after it is ready: at least one expired in between.
RENEWALS = 2
RENEWAL_SECONDS = 60.0
BRIDGES = (
    {"kafka__driver": "kafka-python"},
    {"kafka__driver": "librdkafka"},
    {"delivery__mode": "exactly-once", "checkpoint__store": "kafka"},
)


@pytest.fixture(scope="module")
def shared_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenEndpoint]:
    certificates.required()
    with TokenEndpoint(tmp_path_factory.mktemp("tokens"), "first") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def broker(
    shared_endpoint: TokenEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenKafka]:
    kafka.required()
    with TokenKafka(tmp_path_factory.mktemp("token-kafka"), shared_endpoint) as server:
        yield server


@pytest.fixture
def endpoint(shared_endpoint: TokenEndpoint) -> Iterator[TokenEndpoint]:
    yield shared_endpoint
    shared_endpoint.faulty = None
    shared_endpoint.lifetime = 3600.0


def token_login(broker: TokenKafka, endpoint: TokenEndpoint) -> dict[str, str]:
    return {
        "kafka__bootstrap_servers": broker.bootstrap,
        "kafka__security_protocol": "SASL_PLAINTEXT",
        "kafka__sasl_mechanism": "OAUTHBEARER",
        "kafka__sasl_username": CLIENT,
        "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE": "{password}",
        "kafka__sasl_oauth_token_url": endpoint.url,
        "kafka__sasl_oauth_scope": "kafka.write",
    }


@pytest.fixture(params=BRIDGES, ids=["kafka-python", "librdkafka", "exactly-once"])
def bridge(
    request: pytest.FixtureRequest,
    endpoint: TokenEndpoint,
    broker: TokenKafka,
    mongo: MongoDeployment,
    tmp_path: Path,
) -> Iterator[SecuredBridge]:
    """A ready bridge whose tokens expire soon."""
    endpoint.lifetime = LIFETIME_SECONDS
    login = token_login(broker, endpoint)
    with make_bridge(tmp_path, broker, mongo, **login, **request.param) as bridge:
        bridge.process.wait_ready()
        yield bridge


def make_bridge(
    folder: Path, broker: TokenKafka, mongo: MongoDeployment, **settings: str
) -> SecuredBridge:
    bridge = SecuredBridge(folder, broker, mongo, mongo__uri=mongo.uri, **settings)
    create_state_topic(broker, bridge.name)
    return bridge


def test_bridges_deliver_past_the_expiry_of_tokens(
    endpoint: TokenEndpoint, bridge: SecuredBridge
) -> None:
    """The broker ends a connection whose token has expired. No client may stop in the meantime."""
    granted = endpoint.granted

    def renewed() -> bool:
        bridge.deliver()
        return endpoint.granted >= granted + RENEWALS

    poll(renewed, "further tokens", RENEWAL_SECONDS)
    bridge.deliver()
    assert bridge.process.restarts() == {}
    bridge.finish()

    assert {*endpoint.scopes} == {"kafka.write"}


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_commands_log_in_with_tokens(
    driver: str,
    endpoint: TokenEndpoint,
    broker: TokenKafka,
    mongo: MongoDeployment,
    tmp_path: Path,
) -> None:
    """Also those that read with kafka-python beside librdkafka."""
    login = token_login(broker, endpoint)
    with make_bridge(tmp_path, broker, mongo, kafka__driver=driver, **login) as bridge:
        bridge.process.wait_ready()
        bridge.deliver()
        bridge.finish()

        checked = run_command("check", settings=bridge.settings)
        settled = {**bridge.settings, "verify.settle_seconds": "0"}
        verified = run_command("verify", "--since", "365d", settings=settled)
        listed = run_command("dead-letters", "list", settings=bridge.settings)

    assert checked.code == 0 and "version unknown" not in checked.out
    assert (verified.code, listed.code) == (0, 0), verified.out + verified.err


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
@pytest.mark.parametrize(
    ("faulty", "changed", "code", "words"),
    [
        (None, {"kafka__sasl_username": "other"}, 77, "refuses this client: 401 Unauthorized"),
        ((400, ECHO), {}, 77, "refuses this client: 400 Bad Request (invalid_client: no Basic (h"),
        ((404, b""), {}, 78, "does not grant tokens: 404 Not Found. Nothing is lost"),
        ((200, b"hello"), {}, 78, "does not contain a token (access_token)"),
    ],
    ids=["client", "echo", "address", "answer"],
)
def test_a_refused_token_ends_the_start(
    driver: str,
    faulty: tuple[int, bytes] | None,
    changed: dict[str, str],
    code: int,
    words: str,
    endpoint: TokenEndpoint,
    broker: TokenKafka,
    mongo: MongoDeployment,
    tmp_path: Path,
) -> None:
    """As a wrong password does."""
    endpoint.faulty = faulty
    login = token_login(broker, endpoint) | changed
    with make_bridge(tmp_path, broker, mongo, kafka__driver=driver, **login) as bridge:
        ended = bridge.process.wait_for_end()

    assert ended.code == code and words in ended.error
    assert PAIR not in ended.error
    assert "kafka.sasl_" in ended.error


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_an_absent_endpoint_is_waited_for(
    driver: str,
    endpoint: TokenEndpoint,
    broker: TokenKafka,
    mongo: MongoDeployment,
    tmp_path: Path,
) -> None:
    endpoint.faulty = (503, b"")
    login = token_login(broker, endpoint)
    with make_bridge(tmp_path, broker, mongo, kafka__driver=driver, **login) as bridge:
        reason = bridge.process.unready_reason("cannot grant a token at the moment")
        assert "503 Service Unavailable" in reason and "retries by itself" in reason

        endpoint.faulty = None
        bridge.process.wait_ready()
        bridge.deliver()
        bridge.finish()


def test_an_endpoint_may_be_away_past_an_expiry(
    endpoint: TokenEndpoint, bridge: SecuredBridge
) -> None:
    """A bridge that worked waits for it, and loses nothing."""
    bridge.deliver()

    endpoint.faulty = (401, ECHO)
    bridge.process.wait_unready("token")
    bridge.write()
    endpoint.faulty = None

    bridge.await_all()
    bridge.finish()
    assert PAIR not in bridge.process.output()


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_a_broker_may_refuse_a_granted_token(
    driver: str,
    endpoint: TokenEndpoint,
    broker: TokenKafka,
    mongo: MongoDeployment,
    tmp_path: Path,
) -> None:
    """Another endpoint signs with a key that the broker does not know."""
    with TokenEndpoint(tmp_path / "other", "first") as other:
        login = token_login(broker, endpoint) | {"kafka__sasl_oauth_token_url": other.url}
        with make_bridge(tmp_path, broker, mongo, kafka__driver=driver, **login) as bridge:
            ended = bridge.process.wait_for_end()

    assert other.granted > 0
    assert ended.code == 77 and "Kafka refuses this user" in ended.error
