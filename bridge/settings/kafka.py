"""The settings of Kafka."""

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.errors import Misconfigured
from bridge.settings.librdkafka_options import checked_options, table_text
from bridge.settings.section import Section
from bridge.settings.values import Servers, TokenUrl, Topic


class KafkaSettings(Section):
    """The connection to Kafka, and the messages."""

    bootstrap_servers: Servers = Field(
        "localhost:9092",
        description="Brokers for the first connection, as host:port, separated by commas. "
        "A single reachable broker is enough.",
    )
    topic: Topic = Field(
        "job-transitions",
        description="Topic of the messages: letters, digits, . _ and -, but no . or _ with "
        "jobs.profile = cts. Dead letters go to the topic with this name and the suffix -dlq. "
        "Do not use cts-jobs, CTS's own topic.",
    )
    driver: Literal["auto", "kafka-python", "librdkafka"] = Field(
        "auto",
        description="Kafka client library: kafka-python, librdkafka (from the extra of that name), "
        "or auto, which uses librdkafka if it is installed.",
    )
    headers: Literal["cloudevents", "none"] = Field(
        "cloudevents",
        description="Message headers: cloudevents, or none, which is faster but leaves out the "
        "sequence and the origin of a transition.",
    )
    read_back: Literal["auto", "off"] = Field(
        "auto",
        description="After a crash, leave out what the topic contains: auto reads it back from the "
        "stored position on, which needs Read on the topic; off sends it again.",
    )
    on_oversize: Literal["dead-letter", "stop"] = Field(
        "dead-letter",
        description="Action for a message larger than the topic accepts: dead-letter sends a "
        "dead letter instead, stop ends the bridge (exit 82).",
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none",
        description="Compression of batches: none, gzip, snappy, lz4 or zstd. Messages are small, "
        "so it saves little and costs CPU time. With the driver kafka-python, all but none and "
        "gzip need the extra codecs.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="Protocol of the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] = (
        Field(
            "SCRAM-SHA-512",
            description="SASL mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (with a "
            "token of kafka.sasl_oauth_token_url), or GSSAPI (Kerberos, with the ticket of the "
            "process). SASL protocols only.",
        )
    )
    sasl_username: str = Field(
        "",
        description="SASL user, or the id of the OAuth client. It needs Describe and Write on the "
        "topic and on its -dlq topic. SASL protocols only, where it is required.",
    )
    sasl_password: SecretStr = Field(
        SecretStr(""),
        description="Password of kafka.sasl_username, or the secret of the OAuth client. "
        "SASL protocols only, where it is required.",
    )
    sasl_oauth_token_url: TokenUrl = Field(
        "",
        description="URL at which an OAuth 2.0 server grants tokens for client credentials; the "
        "tokens must be JWTs. OAUTHBEARER only, where it is required.",
    )
    sasl_oauth_scope: str = Field(
        "", description="Scope of the requested tokens, if the server needs one. OAUTHBEARER only."
    )
    sasl_oauth_cafile: str = Field(
        "",
        description="File of the certificate authorities to trust for kafka.sasl_oauth_token_url. "
        "Empty: the system's. OAUTHBEARER only.",
    )
    sasl_kerberos_service_name: str = Field(
        "kafka",
        min_length=1,
        description="Service name of the brokers in Kerberos: the part of their principals before "
        "the host. GSSAPI only.",
    )
    ssl_cafile: str = Field(
        "",
        description="File of the certificate authorities to trust. Empty: the system's. "
        "SSL protocols only.",
    )
    ssl_certfile: str = Field(
        "",
        description="File of the client certificate, if the brokers require one (mutual TLS). "
        "SSL protocols only.",
    )
    ssl_keyfile: str = Field("", description="File of the client key. SSL protocols only.")
    ssl_password: SecretStr = Field(
        SecretStr(""), description="Password of the client key. SSL protocols only."
    )
    options: SecretStr = Field(
        SecretStr(""),
        description="Further options of librdkafka by their own names, for the driver librdkafka: "
        "a table [kafka.options] in the file, or text with a JSON object. It may contain a key or "
        "a password, so it is treated as a secret.",
    )

    @field_validator("options", mode="before")
    @classmethod
    def options_may_be_a_table(cls, value: Any) -> Any:
        return table_text(value)

    @field_validator("options")
    @classmethod
    def options_are_accepted(cls, value: SecretStr) -> SecretStr:
        checked_options(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def sasl_is_complete(self) -> "KafkaSettings":
        secret = self.sasl_password.get_secret_value()
        if self.uses_kerberos:
            if self.sasl_username or secret:
                raise ValueError(
                    "kafka.sasl_username and kafka.sasl_password are not used with "
                    "kafka.sasl_mechanism = GSSAPI: the process logs in with its ticket"
                )
            return self
        if self.uses_sasl and not (self.sasl_username and secret):
            raise ValueError(
                f"kafka.security_protocol = {self.security_protocol} needs kafka.sasl_username "
                "and kafka.sasl_password"
            )
        return self

    @model_validator(mode="after")
    def token_settings_fit_their_mechanism(self) -> "KafkaSettings":
        if self.uses_tokens:
            if not self.sasl_oauth_token_url:
                raise ValueError(
                    "kafka.sasl_mechanism = OAUTHBEARER needs kafka.sasl_oauth_token_url"
                )
            return self
        for name in ("sasl_oauth_token_url", "sasl_oauth_scope", "sasl_oauth_cafile"):
            if getattr(self, name):
                raise ValueError(
                    f"kafka.{name} is not used: it needs kafka.sasl_mechanism = OAUTHBEARER and a "
                    "SASL protocol"
                )
        return self

    @model_validator(mode="after")
    def security_settings_are_used(self) -> "KafkaSettings":
        unused = [
            name
            for name, part in (
                ("sasl_username", "SASL"),
                ("sasl_password", "SASL"),
                ("ssl_cafile", "SSL"),
                ("ssl_certfile", "SSL"),
                ("ssl_keyfile", "SSL"),
                ("ssl_password", "SSL"),
            )
            if getattr(self, name) not in ("", SecretStr("")) and part not in self.security_protocol
        ]
        if unused:
            raise ValueError(
                f"kafka.{unused[0]} is not used with kafka.security_protocol = "
                f"{self.security_protocol}: the connection would be less secure than intended"
            )
        return self

    def servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()]

    def librdkafka_options(self) -> dict[str, str]:
        """Return ``options`` by name; a value may be a secret.

        Raises:
            Misconfigured: Their file, which is read again for a new client, is wrong now.
        """
        try:
            return checked_options(self.options.get_secret_value())
        except ValueError as error:
            raise Misconfigured(
                f"kafka.options, read again: {error}",
                "Nothing is lost: the bridge resumes from the last stored position",
                "Correct the file that JOB_BRIDGE_KAFKA_OPTIONS_FILE names",
                part="kafka",
            ) from None

    @property
    def uses_sasl(self) -> bool:
        """Whether clients log in by SASL."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tokens(self) -> bool:
        """Whether clients log in with a token of OAuth 2.0."""
        return self.uses_sasl and self.sasl_mechanism == "OAUTHBEARER"

    @property
    def uses_kerberos(self) -> bool:
        """Whether clients log in with a ticket of Kerberos."""
        return self.uses_sasl and self.sasl_mechanism == "GSSAPI"
