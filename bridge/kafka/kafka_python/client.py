"""Connects kafka-python's clients to the brokers."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from kafka.errors import SaslAuthenticationFailedError
from kafka.net.sasl.oauth import AbstractTokenProvider

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import LOGIN_FAILED, missing_kerberos_package_error
from bridge.kafka.kafka_python.patches import NetworkClient, require_supported_version
from bridge.kafka.tls import check_files
from bridge.kafka.tokens import TokenSource, token_source
from bridge.settings import Settings
from bridge.settings.kafka import KafkaSettings


def connection(settings: Settings) -> dict[str, Any]:
    """Return the options that all clients share, by kafka-python's names.

    Secrets are read again from their files, so a new client uses a password that was rotated.
    kafka-python treats an unknown ``security_protocol`` as PLAINTEXT; the settings exclude that.
    """
    kafka = settings.with_present_secrets().kafka
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.servers(),
        "client_id": f"job-bridge-{os.getpid()}",
        "security_protocol": kafka.security_protocol,
        "bootstrap_timeout_ms": timeouts.milliseconds(timeouts.BOOTSTRAP_SECONDS),
        "request_timeout_ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "reconnect_backoff_max_ms": timeouts.milliseconds(timeouts.RECONNECT_SECONDS),
    }
    if kafka.uses_sasl:
        options |= _login(kafka)
    if kafka.security_protocol.endswith("SSL"):
        check_files(kafka)
        options |= {
            name: getattr(kafka, name) or None
            for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
        }
        options["ssl_password"] = kafka.ssl_password.get_secret_value() or None
    return options


def require_kerberos(kafka: KafkaSettings) -> None:
    """Raise ``Misconfigured`` if GSSAPI is needed and its package is not installed."""
    if kafka.uses_kerberos and find_spec("gssapi") is None:
        raise missing_kerberos_package_error()


def _login(kafka: KafkaSettings) -> dict[str, Any]:
    if kafka.uses_tokens:
        tokens = token_source(kafka)
        tokens.token()  # Raises the bridge's errors.
        return {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_oauth_token_provider": TokenProvider(tokens),
        }
    if kafka.uses_kerberos:
        require_kerberos(kafka)
        return {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_kerberos_service_name": kafka.sasl_kerberos_service_name,
        }
    return {
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.sasl_password.get_secret_value(),
    }


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # it has no types
    """Gives a token to each connection that logs in, also again."""

    def __init__(self, tokens: TokenSource) -> None:
        super().__init__()
        self._tokens = tokens

    def token(self) -> str:
        """Return a token; raises kafka-python's error, which closes the connection."""
        try:
            return self._tokens.token()
        except BridgeError as error:
            raise SaslAuthenticationFailedError(f"{LOGIN_FAILED}: {error.what}") from None


def make_latest_warning() -> LatestWarning:
    """Make a memory for warnings; the timeout of a request does not replace its cause."""
    return LatestWarning(vague="Request timed out")


def make_client(
    factory: Callable[..., Any],
    latest_warning: LatestWarning,
    network_client: type[NetworkClient] = NetworkClient,
    **options: Any,
) -> Any:
    """Make a client of kafka-python; close its network if its constructor raises.

    The constructor connects. If no broker answers, it leaves its thread and sockets open, which
    would accumulate with each attempt during an outage.

    Raises:
        Misconfigured: This version of kafka-python is not supported.
    """
    require_supported_version()
    networks: list[NetworkClient] = []

    def make_network(**configs: Any) -> NetworkClient:
        networks.append(network_client(latest_warning, **configs))
        return networks[-1]

    try:
        return factory(kafka_client=make_network, **options)
    except BaseException:
        for network in networks:
            network.discard()
        raise
