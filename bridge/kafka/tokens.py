"""Fetches the token with which clients log in by OAUTHBEARER (OAuth 2.0, client credentials).

kafka-python's clients send this token. librdkafka fetches its own; the bridge fetches one before it
makes such a client, because librdkafka reports each failure as a refused login.
"""

import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from functools import lru_cache
from http.client import HTTPException
from typing import Any, NamedTuple

from bridge.errors import RETRIED, Misconfigured, NotPermitted, Retryable, Unreachable
from bridge.kafka.connection_failures import NOTHING_LOST
from bridge.kafka.tls import check_files
from bridge.settings.hidden import hidden
from bridge.settings.kafka import KafkaSettings

#: How long the endpoint may take; meanwhile a client of kafka-python does nothing else.
_ANSWER_SECONDS = 5.0
#: A token is replaced after this part of its life, as librdkafka does.
_FRESH_PART = 0.8
_MAX_BYTES = 100_000
_MAX_REASON = 200
_REFUSED = (400, 401, 403)
_PASSING = (408, 425, 429, *range(500, 600))
_CHECK = "Check kafka.sasl_oauth_token_url"
_CLIENT = "Check kafka.sasl_username, kafka.sasl_password and kafka.sasl_oauth_scope"


class Login(NamedTuple):
    """The identity of a client at a token endpoint."""

    url: str
    client: str
    secret: str
    scope: str
    authorities: str


class _Token(NamedTuple):
    text: str
    #: Times in seconds since 1970.
    renewed_at: float
    expires_at: float


class TokenSource:
    """Gives the token of a login until shortly before it expires, and then the next one.

    May be used on any thread.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._lock = threading.Lock()
        self._token = _Token("", 0.0, 0.0)

    def token(self) -> str:
        """Return a token that has not expired.

        Raises:
            Unreachable: The endpoint does not answer.
            Retryable: The endpoint answers that it cannot grant a token at the moment.
            NotPermitted: The endpoint does not know the client or its secret, or refuses the scope.
            Misconfigured: There is another server at the URL, or the clocks differ.
        """
        with self._lock:
            now = time.time()
            if now < self._token.renewed_at:
                return self._token.text
            try:
                self._token = _token(_answer(self._login), now)
            except (Retryable, NotPermitted, Misconfigured):
                # The token is replaced early, so that the endpoint may be away for a while.
                if now >= self._token.expires_at:
                    raise
            return self._token.text


def token_source(kafka: KafkaSettings) -> TokenSource:
    """Return the source of these settings, which all clients of the process share.

    Raises:
        Misconfigured: A file of certificates is not usable.
    """
    check_files(kafka)
    return _shared(
        Login(
            kafka.sasl_oauth_token_url,
            kafka.sasl_username,
            kafka.sasl_password.get_secret_value(),
            kafka.sasl_oauth_scope,
            kafka.sasl_oauth_cafile,
        )
    )


@lru_cache(maxsize=8)
def _shared(login: Login) -> TokenSource:
    return TokenSource(login)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address does not get the secret."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(login: Login) -> bytes:
    """Return the body of a successful answer."""
    form = {"grant_type": "client_credentials"} | ({"scope": login.scope} if login.scope else {})
    # Not encoded in addition, as in librdkafka.
    pair = base64.b64encode(f"{login.client}:{login.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Accept": "application/json"}
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
        login.url, urllib.parse.urlencode(form).encode(), headers
    )
    try:
        context = ssl.create_default_context(cafile=login.authorities or None)
        https = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(_NoRedirect, https)
        with opener.open(request, timeout=_ANSWER_SECONDS) as answer:
            return bytes(answer.read(_MAX_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(login, error) from None
    except (OSError, HTTPException, UnicodeError) as error:
        # A host name that cannot be encoded raises UnicodeError.
        raise _unanswered(login, error) from None


def _token(body: bytes, now: float) -> _Token:
    """Read the token of an answer; only its expiry is looked at, which the brokers check too."""
    try:
        text = json.loads(body)["access_token"]
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires_at = float(claims["exp"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise Misconfigured(
            "The answer of the token endpoint does not contain a token (access_token) that is a "
            "JWT with an expiry",
            NOTHING_LOST,
            f"{_CHECK}, and that the endpoint grants JWTs to this client",
            part="kafka",
        ) from None
    if expires_at <= now:
        raise Misconfigured(
            f"The token endpoint granted a token that expired {now - expires_at:.0f} s ago",
            NOTHING_LOST,
            "Check the clocks of this machine and of the token endpoint",
            part="kafka",
        )
    return _Token(text, now + (expires_at - now) * _FRESH_PART, expires_at)


def _refusal(
    login: Login, error: urllib.error.HTTPError
) -> Retryable | NotPermitted | Misconfigured:
    status = hidden(error.reason, login.secret)[:_MAX_REASON]
    answer = f"{error.code} {status}{_reason(login, error)}"
    where = _where(login)
    if error.code in _PASSING:
        what = f"The token endpoint{where} cannot grant a token at the moment: {answer}"
        return Retryable(what, NOTHING_LOST, f"Check the token endpoint. {RETRIED}", part="kafka")
    if error.code in _REFUSED:
        what = f"The token endpoint{where} refuses this client: {answer}"
        return NotPermitted(what, NOTHING_LOST, _CLIENT, part="kafka")
    what = f"The address of the token endpoint{where} does not grant tokens: {answer}"
    return Misconfigured(what, NOTHING_LOST, _CHECK, part="kafka")


def _reason(login: Login, error: urllib.error.HTTPError) -> str:
    """Return the fields of an error by RFC 6749, section 5.2, in words."""
    try:
        fields = json.loads(error.read(_MAX_BYTES))
        texts = [fields.get(name) for name in ("error", "error_description")]
    except (OSError, HTTPException, ValueError, AttributeError):
        return ""
    reason = ": ".join(text for text in texts if isinstance(text, str))
    reason = hidden(reason, login.secret)[:_MAX_REASON]
    return f" ({reason})" if reason else ""


def _unanswered(
    login: Login, error: OSError | HTTPException | UnicodeError
) -> Unreachable | Misconfigured:
    reason = getattr(error, "reason", None) or error
    text = hidden(f"{reason}", login.secret)[:_MAX_REASON] or type(reason).__name__
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Misconfigured(
            f"The certificate of the token endpoint{_where(login)} is not trusted: "
            f"{reason.verify_message}",
            NOTHING_LOST,
            "Check kafka.sasl_oauth_cafile, and the host name in kafka.sasl_oauth_token_url",
            part="kafka",
        )
    return Unreachable(
        f"The token endpoint{_where(login)} does not answer: {text}",
        NOTHING_LOST,
        f"{_CHECK}, and that it is reachable from this machine. {RETRIED}",
        part="kafka",
    )


def _where(login: Login) -> str:
    return f" at {urllib.parse.urlsplit(login.url).netloc}"
