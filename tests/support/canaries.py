"""A secret in every setting that can have one, each recognisable in any output."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from bridge.settings.load import setting_names
from bridge.settings.names import variable

#: Every secret setting, by ``section.name``.
NAMES = [name for name, field in setting_names().items() if field.annotation is SecretStr]
#: The user of the pages.
USER = "reader"


def canary(name: str) -> str:
    """The secret of a setting; its characters are quoted in a URI and in JSON."""
    return f'fEd3+{name}/"x'


def canaries() -> dict[str, str]:
    """Settings that are valid together, with a canary in each secret setting.

    Nothing listens on the ports.
    """
    password = quote(canary("mongo.uri"), safe="")
    given = {name: canary(name) for name in NAMES}
    return given | {
        "mongo.uri": f"mongodb://someone:{password}@127.0.0.1:1/?replicaSet=rs0",
        "mongo.username": "bridge",
        "kafka.bootstrap_servers": "127.0.0.1:1",
        "kafka.security_protocol": "SASL_SSL",
        "kafka.sasl_username": "bridge",
        # An option whose value only the brokers and librdkafka itself read.
        "kafka.options": json.dumps({"client.rack": canary("kafka.options")}),
        "http.username": USER,
        "log.level": "debug",
        "log.format": "json",
    }


def in_files(settings: dict[str, str], folder: Path) -> dict[str, str]:
    """The same settings, with each secret in a file that the environment names."""
    given = {name: value for name, value in settings.items() if name not in NAMES}
    for name in NAMES:
        path = folder / name
        path.write_text(settings[name])
        given[f"{variable(name)}_FILE"] = str(path)
    return given


def shown_in(text: str | bytes) -> list[str]:
    """The secrets of the settings that ``text`` contains, also where they are encoded."""
    content = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return [name for name in NAMES if any(form in content for form in _forms(canary(name)))]


def _forms(secret: str) -> set[str]:
    pair = b64encode(f"{USER}:{secret}".encode()).decode()
    encoded = b64encode(secret.encode()).decode()
    # The start of a secret is enough: the rest may be cut, quoted or escaped.
    start = secret.partition("/")[0]
    return {start, quote(start, safe=""), quote_plus(start), encoded.rstrip("="), pair}
