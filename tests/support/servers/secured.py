"""MongoDB and Kafka with TLS, and with users that log in by password or by certificate."""

from __future__ import annotations

from pathlib import Path

from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from tests.support.servers.certificates import Certificates
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

#: The user of both servers.
USER = "bridge"
#: A host name that no name server knows.
UNKNOWN_HOST = "kafka-7.invalid"


class SecuredKafka(Kafka):
    """A broker with a listener for each login.

    - ``bootstrap``: TLS and a password (SASL_SSL with SCRAM-SHA-512).
    - ``mutual``: TLS with the client's certificate.
    - ``lost``: plain, and advertises a host name that cannot be resolved.
    """

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self._certificates = certificates
        self.mutual = f"127.0.0.1:{self._proxied}"
        self.lost = f"127.0.0.1:{self.proxy_port}"

    def set_password(self, password: str) -> None:
        """Set the password of the user; connections that are logged in already stay."""
        credential = UserScramCredentialUpsertion(
            USER, ScramMechanism.SCRAM_SHA_512, password.encode(), iterations=4096
        )
        with self.admin() as admin:
            admin.alter_user_scram_credentials([credential])

    def _listeners(self) -> dict[str, str]:
        tls = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._certificates.file("server"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._certificates.authority,
        }
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        listeners = super()._listeners()
        plain = f"LOST://{self.lost}"
        advertised = listeners["advertised.listeners"].replace(str(self.proxy_port), "MUTUAL")
        return {
            **listeners,
            **tls,
            "listeners": f"{listeners['listeners']},{plain}",
            "advertised.listeners": (
                f"{advertised.replace('MUTUAL', str(self._proxied))},"
                f"LOST://{UNKNOWN_HOST}:{self.proxy_port}"
            ),
            "listener.security.protocol.map": (
                "CLIENT:SASL_SSL,PROXIED:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,LOST:PLAINTEXT"
            ),
            "listener.name.proxied.ssl.client.auth": "required",
            "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config": scram,
        }


class SecuredMongo(MongoDeployment):
    """A replica set of one node with TLS and access control; the helpers connect without TLS."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        tls = ["--tlsMode", "preferTLS", "--tlsAllowConnectionsWithoutCertificates"]
        files = ["--tlsCertificateKeyFile", certificates.file("server")]
        files += ["--tlsCAFile", certificates.authority]
        super().__init__(folder, auth=True, arguments=[*tls, *files])
        self._certificates = certificates

    @property
    def password_uri(self) -> str:
        """For the user with a password, which the settings contain."""
        return f"{self.uri}&authSource=admin&tls=true&tlsCAFile={self._certificates.authority}"

    @property
    def certificate_uri(self) -> str:
        """For the user with a certificate."""
        return (
            f"{self.uri}&authMechanism=MONGODB-X509&tls=true"
            f"&tlsCAFile={self._certificates.authority}"
            f"&tlsCertificateKeyFile={self._certificates.file('client')}"
        )

    def create_user(self, password: str) -> None:
        """Create the user with a password."""
        with self.client(0) as client:
            client.admin.command("createUser", USER, pwd=password, roles=["root"])

    def drop_user(self) -> None:
        """Drop the user with a password; its connections lose all rights."""
        with self.client(0) as client:
            client.admin.command("dropUser", USER)

    def create_certificate_user(self) -> None:
        """Create the user of the certificate."""
        with self.client(0) as client:
            client["$external"].command(
                "createUser", "CN=client,O=clients", roles=[{"role": "root", "db": "admin"}]
            )

    def restart(self) -> None:
        """Start again, with the certificates read again."""
        self.kill()
        self.start_node()
        self.primary_index()
