"""Hides secrets in the texts of servers and client libraries, before a text is shown or cut.

An error may repeat what was sent: a token endpoint its request, a broker a login, PyMongo a URI.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

from bridge.settings.mongo_uri import secrets_of

_HIDDEN = "(hidden)"
#: A shorter secret is often a part of another word.
_LONG = 8
#: JSON Web Tokens, which a client received.
_TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+(?:\.[\w-]*)?")
#: What may be base64, as in a header of basic authentication; also percent-encoded.
_BASE64 = re.compile(r"(?<!%)(?<!%.)(?:[A-Za-z0-9+/_-]|%2[BbFfDd]|%5[Ff]){8,}(?:=|%3[Dd]){0,2}")
_SECRET_OPTIONS = re.compile("password|secret|pem")
#: The secrets of all settings that this process has read.
_known: dict[str, None] = {}


def remember_secret(name: str, value: str) -> None:
    """Remember the secrets of a setting.

    Args:
        name: The name of the setting in its section.
        value: A secret, or a URI or a table that may contain several.
    """
    secrets = [value]
    if name == "uri":
        secrets = secrets_of(value)
    elif name == "options":
        with suppress(ValueError, AttributeError):  # It is checked elsewhere.
            options = json.loads(value).items()
            secrets = [str(text) for option, text in options if _SECRET_OPTIONS.search(option)]
    _known.update(dict.fromkeys(secret for secret in secrets if secret))


def hidden(text: str, *secrets: str) -> str:
    """Return ``text`` with ``(hidden)`` in place of secrets, also where they are encoded.

    Args:
        text: The text of a server or of a library.
        secrets: Secrets in addition to those of the settings.
    """
    text = _TOKEN.sub(_HIDDEN, text)
    every = frozenset(filter(None, (*_known, *secrets)))
    if not every:
        return text
    plain, within = _patterns(every)

    def decoded(run: re.Match[str]) -> str:
        return _HIDDEN if _encodes(run[0], within) else run[0]

    # First as it is: the letters before a secret may look like the start of base64.
    return _BASE64.sub(decoded, plain.sub(_HIDDEN, text))


@lru_cache(maxsize=8)
def _patterns(secrets: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the pattern of secrets in a text, and that of secrets in decoded base64."""
    forms = {secret: "".join(map(_forms, secret)) for secret in secrets}
    ordered = sorted(secrets, key=len, reverse=True)
    # A short one stands alone, or after a character that is percent-encoded.
    plain = _alternatives(ordered, forms, r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2}))", r"(?!\w)")
    # And in base64 as a part of a login or a form.
    return plain, _alternatives(ordered, forms, r"(?<=[:=\0])", r"(?=&|\Z)")


def _alternatives(
    ordered: Sequence[str], forms: Mapping[str, str], before: str, after: str
) -> re.Pattern[str]:
    """Return a pattern of all; short ones are between ``before`` and ``after``."""
    every = (
        forms[secret] if len(secret) >= _LONG else f"{before}{forms[secret]}{after}"
        for secret in ordered
    )
    return re.compile("|".join(every), re.IGNORECASE)


def _forms(character: str) -> str:
    """Return a pattern of a character as it is, percent-encoded, or escaped as in JSON."""
    percent = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    space = r"|\+" if character == " " else ""
    return rf"(?:\\?{re.escape(character)}|{percent}|\\u{ord(character):04x}{space})"


def _encodes(run: str, secrets: re.Pattern[str]) -> bool:
    """Whether base64 contains a secret; it may start after letters that do not belong to it."""
    letters = unquote(run).rstrip("=").translate(str.maketrans("-_", "+/"))
    for start in range(4):
        whole = letters[start:]
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]
        content = base64.b64decode(whole + "=" * (-len(whole) % 4))
        if secrets.search(content.decode("utf-8", "replace")):
            return True
    return False
