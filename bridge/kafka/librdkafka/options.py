"""Checks with librdkafka itself the options of ``kafka.options``.

A client would report a wrong option as an unreachable broker, again and again. Errors contain no
values, which may be secrets.
"""

import ctypes
import difflib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, Producer, cimpl

from bridge.kafka.errors import missing_kerberos_error, refused_options_error
from bridge.kafka.librdkafka.client import ClientLogger, connection, make_latest_warning
from bridge.settings import Settings
from bridge.settings.hidden import hidden

#: From which likeness on, of 0 to 1, a name is suggested.
_SIMILAR = 0.7
_UNKNOWN = "No such configuration property"


def check_options(settings: Settings) -> None:
    """Make clients with each option alone and with all settings; nothing is connected.

    Raises:
        Misconfigured: librdkafka does not know an option, or does not accept a value.
    """
    options = settings.with_present_secrets().kafka.librdkafka_options()
    if not options:
        return
    if problems := [*_problems(options)]:
        raise refused_options_error("; ".join(problems))
    if text := _refused(connection(_without_login(settings), make_latest_warning())):
        shown = hidden(text, *options.values())
        raise refused_options_error(f"with the other settings librdkafka refuses it: {shown}")


def check_mechanism(settings: Settings) -> None:
    """Ask librdkafka whether it was built with Kerberos, if that is used.

    Raises:
        Misconfigured: It was not.
    """
    if settings.kafka.uses_kerberos and _refused({"builtin.features": "sasl_gssapi"}):
        raise missing_kerberos_error()


def _without_login(settings: Settings) -> Settings:
    """Leave out the login, for which a server may have to be asked."""
    protocol = "SSL" if settings.kafka.security_protocol.endswith("SSL") else "PLAINTEXT"
    kafka = settings.kafka.model_copy(update={"security_protocol": protocol})
    return settings.model_copy(update={"kafka": kafka})


def _problems(options: Mapping[str, str]) -> Iterator[str]:
    for name, value in options.items():
        text = _refused({name: value})
        if _UNKNOWN in text:
            near = difflib.get_close_matches(name, _known_names(), n=1, cutoff=_SIMILAR)
            yield f"{name} is unknown" + (f" (did you mean {near[0]}?)" if near else "")
        elif text:
            yield f"the value of {name} is not accepted{_range(text)}"


def _refused(options: Mapping[str, object]) -> str:
    """Return librdkafka's error for these options; empty if it accepts them."""
    logger = ClientLogger(make_latest_warning())
    try:
        Producer(dict(options), logger=logger)
        # It compares more options with each other.
        Consumer({**options, "group.id": "job-bridge"}, logger=logger).close()
    except KafkaException as error:
        return str(error.args[0].str())
    return ""


def _range(text: str) -> str:
    """Return the range of a number, as librdkafka's error contains it."""
    found = re.search(r"is outside allowed range (\S+)", text)
    return f": it must be in {found[1]}" if found else ""


def _known_names() -> list[str]:
    """Return the names of librdkafka's options, to find the nearest; empty if they are unknown.

    Python's module has no function for them. The library beneath it prints a table of them.
    """
    with suppress(OSError, AttributeError), tempfile.NamedTemporaryFile("r") as file:
        # Its functions are not visible in every build.
        show = ctypes.CDLL(cimpl.__file__).rd_kafka_conf_properties_show
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        show.argtypes = libc.fclose.argtypes = [ctypes.c_void_p]
        stream = libc.fopen(file.name.encode(), b"w")
        show(stream)
        libc.fclose(stream)
        return re.findall(r"^([a-z][a-z0-9_.]*) +\|", file.read(), re.MULTILINE)
    return []
