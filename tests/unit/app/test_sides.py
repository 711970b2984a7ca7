"""The names of the sides: addresses and settings, never a secret."""

from __future__ import annotations

import pytest

from bridge.app.sides import checkpoint_side, kafka_side, mongodb_side
from tests.support.factories import settings


@pytest.mark.parametrize(
    ("uri", "side"),
    [
        ("mongodb://db:27017", "MongoDB at db:27017 (mongo.uri)"),
        ("mongodb://a:1,b:2/?replicaSet=rs0", "MongoDB at a:1, b:2 (mongo.uri)"),
        ("mongodb://u:secret@a:1,b:2/x", "MongoDB at a:1, b:2 (mongo.uri)"),
        ("mongodb://u:se@cret@[::1]:27017", "MongoDB at [::1]:27017 (mongo.uri)"),
        (
            "mongodb+srv://u:secret@cluster.example.com",
            "MongoDB at cluster.example.com (mongo.uri)",
        ),
        ("mongodb://u:123/secret@db", "MongoDB (mongo.uri)"),
        ("mongodb://u:secret", "MongoDB (mongo.uri)"),
        ("mongodb://db/?tlsCertificateKeyFilePassword=se@cret", "MongoDB (mongo.uri)"),
    ],
)
def test_mongodb_is_named_by_its_hosts(uri: str, side: str) -> None:
    assert mongodb_side(settings(mongo__uri=uri)) == side


@pytest.mark.parametrize(
    ("servers", "side"),
    [
        ("a:9092, b:9093", "Kafka at a:9092, b:9093 (kafka.bootstrap_servers)"),
        ("u:secret@a:9092", "Kafka (kafka.bootstrap_servers)"),
    ],
)
def test_kafka_is_named_by_its_servers(servers: str, side: str) -> None:
    kafka = settings().kafka.model_copy(update={"bootstrap_servers": servers})

    assert kafka_side(settings().model_copy(update={"kafka": kafka})) == side


def test_a_checkpoint_is_named_by_its_store() -> None:
    given = settings(checkpoint__store="file", checkpoint__file="/var/lib/position.json")

    assert checkpoint_side(given) == "the file /var/lib/position.json (checkpoint.file)"
    assert checkpoint_side(settings()) == "MongoDB at localhost:27017 (mongo.uri)"
