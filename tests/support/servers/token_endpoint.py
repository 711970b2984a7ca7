"""A token endpoint of OAuth 2.0 (client credentials), and a broker that accepts its tokens."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support.servers.kafka import Kafka

#: The client of the tokens; its secret is that of the tests.
CLIENT = "bridge"
_ISSUER = "https://issuer.example"
_AUDIENCE = "kafka"
_MECHANISM = "listener.name.client.oauthbearer.sasl"
_CLASSES = "org.apache.kafka.common.security.oauthbearer"


class TokenEndpoint:
    """Signs tokens for the client that knows the secret; a faulty answer may be given instead.

    Attributes:
        granted: How many tokens it has signed.
        lifetime: Seconds until a new token expires.
        faulty: Status and body that answer each request for a token, instead of a token.
        scopes: The scope of each request.
    """

    def __init__(self, folder: Path, secret: str, certificate: str = "") -> None:
        """Listen; ``certificate`` is a file with certificate and key, for TLS."""
        self.granted = 0
        self.lifetime = 3600.0
        self.faulty: tuple[int, bytes] | None = None
        self.scopes: list[str] = []
        self._secret = secret
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._openssl("genrsa", "-out", "key.pem", "2048")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where tokens are granted."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/token"

    @property
    def keys_url(self) -> str:
        """Where the public key is."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/keys"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, json.dumps({"keys": [endpoint._key()]}).encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = urllib.parse.parse_qs(self.rfile.read(length).decode())
                self._answer(*endpoint._grant(self.headers.get("Authorization", ""), form))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _grant(self, login: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        if self.faulty is not None:
            return self.faulty
        pair = base64.b64encode(f"{CLIENT}:{self._secret}".encode()).decode()
        if login != f"Basic {pair}" or form.get("grant_type") != ["client_credentials"]:
            return 401, b'{"error": "invalid_client", "error_description": "no such client"}'
        self.granted += 1
        self.scopes.append("".join(form.get("scope", [])))
        answer = {"access_token": self._token(), "token_type": "Bearer"}
        return 200, json.dumps(answer | {"expires_in": self.lifetime}).encode()

    def _token(self) -> str:
        now = time.time()
        claims = {"sub": CLIENT, "iss": _ISSUER, "aud": _AUDIENCE, "iat": now}
        parts = ({"alg": "RS256", "kid": "1"}, claims | {"exp": now + self.lifetime})
        text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        signature = self._openssl("dgst", "-sha256", "-sign", "key.pem", text=text.encode())
        return f"{text}.{_encoded(signature)}"

    def _key(self) -> dict[str, str]:
        answer = self._openssl("rsa", "-in", "key.pem", "-noout", "-modulus").decode().strip()
        modulus = bytes.fromhex(answer.partition("=")[2])
        numbers = {"n": _encoded(modulus), "e": _encoded(b"\x01\x00\x01")}
        return {"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig"} | numbers

    def _openssl(self, *arguments: str, text: bytes = b"") -> bytes:
        return subprocess.run(
            ["openssl", *arguments], cwd=self._folder, input=text, check=True, capture_output=True
        ).stdout


class TokenKafka(Kafka):
    """A broker whose clients log in with a token; it ends a connection when the token expires."""

    def __init__(self, folder: Path, endpoint: TokenEndpoint) -> None:
        properties = {
            "listener.name.client.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{_MECHANISM}.jaas.config": f"{_CLASSES}.OAuthBearerLoginModule required;",
            f"{_MECHANISM}.server.callback.handler.class": (
                f"{_CLASSES}.OAuthBearerValidatorCallbackHandler"
            ),
            f"{_MECHANISM}.oauthbearer.jwks.endpoint.url": endpoint.keys_url,
            f"{_MECHANISM}.oauthbearer.expected.audience": _AUDIENCE,
            f"{_MECHANISM}.oauthbearer.expected.issuer": _ISSUER,
            "listener.name.client.oauthbearer.connections.max.reauth.ms": "3600000",
        }
        super().__init__(folder, properties=properties)
        self.jvm = (f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={endpoint.keys_url}",)

    def _listeners(self) -> dict[str, str]:
        listeners = super()._listeners()
        protocols = listeners["listener.security.protocol.map"]
        return listeners | {
            "listener.security.protocol.map": protocols.replace(
                "CLIENT:PLAINTEXT", "CLIENT:SASL_PLAINTEXT"
            )
        }


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
