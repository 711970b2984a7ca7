"""What a Kafka client last said of its troubles: its errors do not carry the reason."""

import logging
import time

logger = logging.getLogger(__name__)


class LatestWarning(logging.Handler):
    """Keeps what the client last warned of, as far as its logger lets it be heard. Whoever listens too still does."""

    def __init__(self, name: str, *useless: str, less: str = "") -> None:
        """Listen to the client's logger of this name: lines with one of ``useless`` are ignored, one with ``less`` is kept only where nothing else was said lately."""
        super().__init__(logging.WARNING)
        self._name, self._useless, self._less = name, useless, less
        self._words = ""
        self._at = 0.0

    def install(self) -> "LatestWarning":
        """Listen, instead of the one before."""
        library = logging.getLogger(self._name)
        library.handlers[:] = [
            *(each for each in library.handlers if not isinstance(each, LatestWarning)),
            self,
        ]
        return self

    def emit(self, record: logging.LogRecord) -> None:
        self.note(record.getMessage())

    def note(self, text: str) -> None:
        """Keep a warning that came another way."""
        text = " ".join(text.split())[:300]
        if not any(each in text for each in self._useless) and not (
            self._less and self._less in text and self.recent()
        ):
            self._words, self._at = text, time.monotonic()
        logger.debug("%s", text)

    def recent(self, seconds: float = 30.0) -> str:
        """What was said within the last ``seconds``, else nothing."""
        return self._words if time.monotonic() - self._at <= seconds else ""
