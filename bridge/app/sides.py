"""Names the servers a bridge waits for, with address and setting and never with a secret."""

import re

from bridge.settings import Settings

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?")


def mongodb_side(settings: Settings) -> str:
    """Return MongoDB, its hosts and their setting."""
    return _side("MongoDB", _hosts(settings.mongo.uri.get_secret_value()), "mongo.uri")


def kafka_side(settings: Settings) -> str:
    """Return Kafka, its bootstrap servers and their setting."""
    return _side("Kafka", settings.kafka.bootstrap_servers, "kafka.bootstrap_servers")


def checkpoint_side(settings: Settings) -> str:
    """Return the store of the checkpoint."""
    if settings.keeps_no_position:
        return mongodb_side(settings)
    if settings.checkpoint.store == "file":
        return f"the file {settings.checkpoint.file} (checkpoint.file)"
    if settings.checkpoint.store == "kafka":
        return kafka_side(settings)
    return mongodb_side(settings)


def _side(name: str, servers: str, setting: str) -> str:
    """Name a side; without its servers if they might contain a password."""
    listed = [server.strip() for server in servers.split(",")]
    if all(_SERVER.fullmatch(server) for server in listed):
        return f"{name} at {', '.join(listed)} ({setting})"
    return f"{name} ({setting})"


def _hosts(uri: str) -> str:
    """Return the hosts of a connection string; an empty text if they cannot be distinguished."""
    rest = uri.partition("://")[2]
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    # A password with a slash that is not escaped would end up among the hosts.
    return authority.rpartition("@")[2] if "@" not in rest[len(authority) :] else ""
