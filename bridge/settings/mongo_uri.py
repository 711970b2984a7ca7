"""The parts of a connection string of MongoDB that decide how secure the connection is."""

import re
from urllib.parse import unquote_plus

_TRUE = "true"
#: Options that turn TLS on if they have a value.
_FILES = ("tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscrlfile")
#: Options that accept any server as MongoDB, in lower case; PyMongo does not care about the case.
_UNCHECKED = {
    "tlsinsecure": "tlsInsecure",
    "tlsallowinvalidcertificates": "tlsAllowInvalidCertificates",
    "tlsallowinvalidhostnames": "tlsAllowInvalidHostnames",
}
_SCHEME = re.compile(r"(mongodb(?:\+srv)?)://(.*)", re.S)
_PORT = re.compile(r":\d+$")


def is_connection_string(uri: str) -> bool:
    """Whether ``uri`` has a scheme of MongoDB; PyMongo takes any other word for a host."""
    return _SCHEME.fullmatch(uri.strip()) is not None


def unchecked_options(uri: str) -> list[str]:
    """Return the options of ``uri`` with which TLS does not check the server's certificate."""
    options = _options(uri)
    return [name for lower, name in _UNCHECKED.items() if options.get(lower) == _TRUE]


def plain_hosts(uri: str) -> list[str]:
    """Return the hosts of ``uri`` with which the connection has no TLS; empty with TLS."""
    scheme = _SCHEME.fullmatch(uri.strip())
    if scheme is None:
        return []
    options = _options(uri)
    tls = options.get("tls", options.get("ssl", str(scheme[1].endswith("+srv")).lower()))
    if tls == _TRUE or any(map(options.get, _FILES)):
        return []
    authority = scheme[2].partition("?")[0].rpartition("@")[2].partition("/")[0]
    return [_PORT.sub("", host).strip("[]") for host in authority.split(",") if host]


def secrets_of(uri: str) -> list[str]:
    """Return the decoded secrets of ``uri``: its password, and those of options."""
    scheme = _SCHEME.fullmatch(uri.strip())
    user = scheme[2].partition("?")[0].rpartition("@")[0] if scheme else ""
    secrets = [unquote_plus(user.partition(":")[2])]
    for name, value in _pairs(uri):
        if "password" in name:
            secrets.append(value)
        elif name == "authmechanismproperties":
            secrets += (pair.partition(":")[2] for pair in value.split(",") if "TOKEN" in pair)
    return [secret for secret in secrets if secret]


def _options(uri: str) -> dict[str, str]:
    """Return the options with their values decoded, both in lower case."""
    return {name: value.lower() for name, value in _pairs(uri)}


def _pairs(uri: str) -> list[tuple[str, str]]:
    pairs = re.split("[&;]", uri.strip().partition("?")[2])
    named = (pair.partition("=") for pair in pairs)
    return [(name.lower(), unquote_plus(value)) for name, _, value in named]
