"""Secrets in the texts of servers: every encoding is hidden, and other words stay."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from bridge.cli.status_client import read_status
from bridge.errors import Retryable
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import error_text
from bridge.mongo.errors import summary_of
from bridge.settings import load
from bridge.settings.hidden import hidden
from tests.support.factories import settings

SECRET = 'fEd3 /"+~ü%x'
PAIR = f"bridge:{SECRET}".encode()
ENCODED_PAIR = f"bridge:{quote_plus(SECRET)}".encode()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.lower(),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET).lower(),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        b64encode(PAIR).decode(),
        b64encode(PAIR).decode().rstrip("="),
        urlsafe_b64encode(PAIR).decode(),
        quote_plus(b64encode(PAIR).decode()),
        b64encode(ENCODED_PAIR).decode(),
        b64encode(f"\0bridge\0{SECRET}".encode()).decode(),
    ],
)
@pytest.mark.parametrize("around", ["{}", "Basic {}, refused", "a%3D{}%26b", "abc={}"])
def test_each_encoding_is_hidden(form: str, around: str) -> None:
    assert hidden(around.format(form), SECRET) == around.format("(hidden)")


def test_a_received_token_is_hidden() -> None:
    parts = (b'{"alg":"RS256"}', b'{"sub":"bridge"}', b"signature")
    token = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    assert hidden(f"the token {token} expired") == "the token (hidden) expired"


@pytest.mark.parametrize(
    "text", ["topic_secrets", "/var/lib/kafka/data/topic-0", "QUJDREVGRw==", "it is too long"]
)
def test_other_words_stay(text: str) -> None:
    """A short secret is hidden as a whole word only."""
    assert hidden(text, "topic_", "to", "") == text
    assert hidden("to", "to") == "(hidden)"


def test_a_secret_that_contains_another() -> None:
    assert hidden("a-longer-secret, longer", "longer", "a-longer-secret") == "(hidden), (hidden)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mongo__uri", f"mongodb://u:{quote(SECRET, safe='')}@h/?tls=true"),
        ("mongo__uri", f"mongodb://h/?tls=true&tlsCertificateKeyFilePassword={quote(SECRET)}"),
        ("mongo__uri", f"mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:{quote(SECRET)}"),
        ("kafka__options", {"ssl.keystore.password": SECRET}),
    ],
)
def test_secrets_inside_of_settings_are_known(name: str, value: object) -> None:
    settings(**{name: value})

    assert hidden(f"no {SECRET}, tls = true") == "no (hidden), tls = true"


def test_a_rotated_secret_is_known(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("the-first-secret")
    variables = {"JOB_BRIDGE_MONGO_PASSWORD_FILE": str(path), "JOB_BRIDGE_MONGO_USERNAME": "u"}
    read = load(None, {}, variables)
    path.write_text("the-second-secret")
    read.with_present_secrets()

    assert hidden("the-first-secret the-second-secret") == "(hidden) (hidden)"


def test_secrets_are_hidden_before_texts_are_cut() -> None:
    """A secret at the end of the longest text would otherwise be shown in part."""
    settings(mongo__username="u", mongo__password=SECRET)
    latest = LatestWarning()

    for length in range(280, 401):
        text = f"{'x ' * (length // 2)}{SECRET}"
        latest.note(text)
        shown = latest.recent() + error_text(text) + error_text("x", text)
        assert "fEd3" not in shown + summary_of(ValueError(text))


def test_no_answer_of_another_program_shows_secrets() -> None:
    """It may answer with the request's own header."""
    read = settings(http__username="u", http__password=SECRET).http
    pair = b64encode(f"u:{SECRET}".encode()).decode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        at_port = read.model_copy(update={"port": server.getsockname()[1]})

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"Basic {pair}\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Retryable, match=r"Basic \(hidden\)"):
            read_status(at_port)
        thread.join()
