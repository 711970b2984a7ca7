"""The table ``kafka.options``: which of librdkafka's options it may contain, and their values.

Whether librdkafka knows an option and accepts its value is checked where librdkafka is loaded
(``bridge.kafka.librdkafka.options``). Errors contain no values, which may be secrets.
"""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

_TABLE = "it is a table, or text with a JSON object, of librdkafka's option names and their values"
_NAME = re.compile(r"[a-z][a-z0-9_.]*")


class _Refusal(NamedTuple):
    reason: str
    #: Names, and patterns of names; librdkafka has several names for some options.
    names: tuple[str, ...]


#: The options that have a setting.
_SETTINGS = {
    "kafka.bootstrap_servers": ("bootstrap.servers", "metadata.broker.list"),
    "kafka.security_protocol": ("security.protocol",),
    "kafka.sasl_mechanism": ("sasl.mechanism", "sasl.mechanisms"),
    "kafka.sasl_username": (
        *("sasl.username", "sasl.oauthbearer.client.id"),
        "sasl.oauthbearer.client.credentials.client.id",
    ),
    "kafka.sasl_password": (
        *("sasl.password", "sasl.oauthbearer.client.secret"),
        "sasl.oauthbearer.client.credentials.client.secret",
    ),
    "kafka.sasl_oauth_token_url": ("sasl.oauthbearer.token.endpoint.url",),
    "kafka.sasl_oauth_scope": ("sasl.oauthbearer.scope",),
    "kafka.sasl_oauth_cafile": ("https.ca.location", "https.ca.pem"),
    "kafka.sasl_kerberos_service_name": ("sasl.kerberos.service.name",),
    "kafka.ssl_cafile": ("ssl.ca.location",),
    "kafka.ssl_certfile": ("ssl.certificate.location",),
    "kafka.ssl_keyfile": ("ssl.key.location",),
    "kafka.ssl_password": ("ssl.key.password",),
    "kafka.compression": ("compression.codec", "compression.type"),
    "checkpoint.instance": ("group.instance.id",),
    "delivery.window_messages": ("queue.buffering.max.messages",),
    "delivery.window_bytes": ("queue.buffering.max.kbytes",),
}
#: The first that fits counts.
_REFUSALS = (
    *(_Refusal(f"set {setting} instead", names) for setting, names in _SETTINGS.items()),
    _Refusal(
        "that no message is lost, repeated or out of order depends on it",
        (
            *("acks", "request.required.acks", "enable.idempotence", "enable.gapless.guarantee"),
            *("max.in.flight", "max.in.flight.requests.per.connection", "transaction*"),
            *("retries", "message.send.max.retries", "message.timeout.ms", "delivery.timeout.ms"),
            *("request.timeout.ms", "queuing.strategy", "partitioner*", "isolation.level"),
            *("auto.offset.reset", "enable.auto.*", "auto.commit.*", "offset.store.*"),
            *("enable.partition.eof", "allow.auto.create.topics", "message.max.bytes"),
            *("delivery.report.*", "produce.offset.report", "api.version.*", "broker.version.*"),
            *("share.*", "test.mock.*", "topic.blacklist"),
        ),
    ),
    _Refusal(
        "that a single bridge owns the checkpoint depends on it",
        (
            *("group.*", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.*"),
            *("partition.assignment.strategy", "coordinator.query.interval.ms"),
        ),
    ),
    _Refusal(
        "the bridge sets it, because its own waits and rates depend on it",
        (
            *("client.id", "socket.timeout.ms", "socket.connection.setup.timeout.ms"),
            *("reconnect.backoff.max.ms", "topic.metadata.refresh.interval.ms"),
            *("topic.metadata.propagation.max.ms", "fetch.wait.max.ms", "linger.ms"),
            *("queue.buffering.max.ms", "batch.size"),
        ),
    ),
    _Refusal(
        "the bridge always checks with whom it is connected",
        (
            *("enable.ssl.certificate.verification", "ssl.endpoint.identification.algorithm"),
            "enable.sasl.oauthbearer.unsecure.jwt",
        ),
    ),
    _Refusal(
        "the bridge logs in with client credentials: set kafka.sasl_oauth_token_url",
        (
            *("sasl.oauthbearer.method", "sasl.oauthbearer.config", "sasl.oauthbearer.grant.type"),
            *("sasl.oauthbearer.assertion.*", "sasl.oauthbearer.metadata.*"),
        ),
    ),
    _Refusal(
        "librdkafka's events, log and plug-ins belong to the bridge's program",
        (
            *("*_cb", "*_cmp", "on_*", "logger", "debug", "log_level", "log.*", "opaque"),
            *("enable_sasl_queue", "enabled_events", "default.topic.config", "default_topic_conf"),
            *("builtin.features", "plugin.library.paths", "interceptors", "internal.*", "ssl_*"),
        ),
    ),
)


def refused_names() -> tuple[str, ...]:
    """Return the refused names, and the patterns of refused names."""
    return tuple(name for refusal in _REFUSALS for name in refusal.names)


def table_text(value: Any) -> Any:
    """Return a table as JSON text; anything else unchanged.

    In TOML the name of an option may stand with or without quotes, so the dots of a name may have
    become inner tables.
    """
    return json.dumps(dict(_flat(value))) if isinstance(value, Mapping) else value


def checked_options(text: str) -> dict[str, str]:
    """Return the options and their values as librdkafka reads them.

    Args:
        text: A JSON object, or nothing.

    Raises:
        ValueError: It is not an object of texts, numbers and booleans, or contains an option that
            is not accepted. The error contains no value.
    """
    try:
        given = json.loads(text) if text.strip() else {}
    except ValueError:
        raise ValueError(f"the text is not JSON: {_TABLE}") from None
    if not isinstance(given, dict):
        raise ValueError(f"the text is not a JSON object: {_TABLE}")
    flat = dict(_flat(given))
    if problems := [*_problems(flat)]:
        raise ValueError("; ".join(problems))
    return {name: _value(value) for name, value in flat.items()}


def _flat(table: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    for number, (name, value) in enumerate(options.items(), 1):
        if not _NAME.fullmatch(name):  # It is not shown: it may be a value in the wrong place.
            yield f"name {number} is not that of an option: small letters, digits, . and _ only"
        elif reason := _refusal(name):
            yield f"{name} is not accepted: {reason}"
        elif not isinstance(value, str | int | float):
            yield f"the value of {name} is not a text, a number or a boolean"


def _refusal(name: str) -> str:
    for reason, names in _REFUSALS:
        if any(fnmatchcase(name, pattern) for pattern in names):
            return reason
    return ""


def _value(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
