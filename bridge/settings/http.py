"""The settings of the HTTP server."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from bridge.settings.section import Section


class HttpSettings(Section):
    """The HTTP server for the status page, health and metrics."""

    host: str = Field(
        "127.0.0.1",
        description="Address of the status page, /metrics, /livez, /readyz and /status.json. "
        "Without http.username they do not require a password.",
        min_length=1,
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9595, description="Port of the HTTP server. 0: any free port, which the log names."
    )
    certfile: str = Field(
        "",
        description="File of the server's certificate and its chain (PEM), for TLS. It is read "
        "again when it changes. Empty: HTTP without TLS.",
    )
    keyfile: str = Field(
        "",
        description="File of the certificate's private key (PEM, without a password), read again "
        "when it changes. Empty: http.certfile contains the key.",
    )
    username: str = Field(
        "",
        description="User whom all pages except /livez require (basic authentication). "
        "Set both http.username and http.password, or neither.",
    )
    password: SecretStr = Field(SecretStr(""), description="Password of http.username.")
    details: Literal["auto", "on"] = Field(
        "auto",
        description="Readers to whom the pages show hosts, owners, tokens and the causes of "
        "failures: auto, readers with the password of http.username; on, every reader.",
    )

    @model_validator(mode="after")
    def user_and_password_go_together(self) -> "HttpSettings":
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("set both http.username and http.password, or neither")
        if ":" in self.username:
            raise ValueError("http.username must not contain a colon (RFC 7617)")
        return self

    @model_validator(mode="after")
    def key_has_a_certificate(self) -> "HttpSettings":
        if self.keyfile and not self.certfile:
            raise ValueError("http.keyfile needs http.certfile")
        return self

    def url(self, port: int) -> str:
        """Return the URL of ``port`` on this host; brackets surround an IPv6 address."""
        scheme = "https" if self.certfile else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"
