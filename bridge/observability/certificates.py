"""The certificate files that the settings name, and when they expire.

Only the page of metrics asks: a file system that hangs must not delay a probe.
"""

from collections.abc import Callable, Iterator
from os import stat
from pathlib import Path
from urllib.parse import parse_qsl

from bridge.model.certificate import expiries
from bridge.settings import Settings

_URI_OPTIONS = {
    "tlscafile": ("tlsCAFile", max),
    "tlscertificatekeyfile": ("tlsCertificateKeyFile", min),
}


class Certificates:
    """Reads the files again when they change; may be used on any thread."""

    def __init__(self, settings: Settings) -> None:
        self._files = list(_files(settings))
        self._read: dict[str, tuple[tuple[int, int], float | None]] = {}

    def not_after(self) -> tuple[tuple[str, float], ...]:
        """Return the setting of each readable file, and when its certificates expire.

        A chain expires with its first certificate. Authorities expire with their last: a rotation
        keeps the old beside the new.
        """
        found = ((name, self._expiry(name, path, choose)) for name, path, choose in self._files)
        return tuple((name, expiry) for name, expiry in found if expiry is not None)

    def _expiry(self, name: str, path: str, choose: Callable[[list[float]], float]) -> float | None:
        try:
            status = stat(path)
            version = (status.st_mtime_ns, status.st_size)
            known = self._read.get(name)
            if known is None or known[0] != version:
                dates = expiries(Path(path).read_text(encoding="utf-8", errors="replace"))
                known = version, choose(dates) if dates else None
                self._read[name] = known
            return known[1]
        except (OSError, ValueError):
            # The clients report an unusable file, with its cause.
            return None


def _files(settings: Settings) -> Iterator[tuple[str, str, Callable[[list[float]], float]]]:
    kafka = settings.kafka
    if kafka.ssl_cafile:
        yield "kafka.ssl_cafile", kafka.ssl_cafile, max
    if kafka.sasl_oauth_cafile:
        yield "kafka.sasl_oauth_cafile", kafka.sasl_oauth_cafile, max
    if kafka.ssl_certfile:
        yield "kafka.ssl_certfile", kafka.ssl_certfile, min
    query = settings.mongo.uri.get_secret_value().partition("?")[2]
    for option, path in parse_qsl(query.replace(";", "&")):
        if option.lower() in _URI_OPTIONS:
            name, choose = _URI_OPTIONS[option.lower()]
            yield f"mongo.uri {name}", path, choose
