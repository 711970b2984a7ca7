"""TLS and passwords of a soak: the broker's settings, and those of the bridges."""

from __future__ import annotations

from tests.support.command import SECRET
from tests.support.servers.certificates import Certificates


def kafka_tls(certificates: Certificates) -> dict[str, str]:
    """Settings of a broker whose clients log in by password over TLS."""
    return {
        "listener.security.protocol.map": (
            "CLIENT:SASL_SSL,PROXIED:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificates.file("server"),
    }


def bridge_settings(mongo: str, kafka: str, authority: str) -> dict[str, str]:
    """Settings of a bridge that reaches both servers through proxies."""
    options = f"directConnection=true&authSource=admin&tls=true&tlsCAFile={authority}"
    return {
        "mongo.uri": f"mongodb://{mongo}/?{options}",
        "mongo.username": "bridge",
        "mongo.password": SECRET,
        "kafka.bootstrap_servers": kafka,
        "kafka.security_protocol": "SASL_SSL",
        "kafka.ssl_cafile": authority,
        "kafka.sasl_mechanism": "PLAIN",
        "kafka.sasl_username": "bridge",
        "kafka.sasl_password": SECRET,
    }
