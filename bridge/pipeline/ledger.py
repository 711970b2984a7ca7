"""The messages that a topic has, so that they need not be sent again."""

import sqlite3
from collections.abc import Collection, Iterable
from hashlib import blake2b

from bridge.errors import Retryable
from bridge.model.message import Record

#: Above this number of messages the ledger is a temporary file: about 10 MB in memory.
_MAX_IN_MEMORY = 100_000
_DIGEST_BYTES = 16
_IDENTITY_HEADER = "ce_id"

Headers = Iterable[tuple[str, bytes | None]]


class Ledger:
    """A set of messages, of any number, in bounded memory; to be closed.

    A message is in it only when key, value and identity (``ce_id``) are the same: leaving out a
    message that the topic does not have would lose it. The ledger holds hashes of 128 bits.
    """

    def __init__(self, max_in_memory: int = _MAX_IN_MEMORY) -> None:
        self._max_in_memory = max_in_memory
        self._in_memory: set[bytes] = set()
        self._database: sqlite3.Connection | None = None
        self.is_empty = True

    def add(self, digests: Collection[bytes]) -> None:
        """Add digests of messages or keys. Raises ``Retryable`` when the disk is full."""
        if not digests:
            return
        self.is_empty = False
        if self._database is None:
            self._in_memory.update(digests)
            if len(self._in_memory) <= self._max_in_memory:
                return
            digests, self._in_memory = [*self._in_memory], set()
        try:
            self._insert(digests)
        except sqlite3.Error as error:
            raise _ledger_failed(error) from error

    def add_records(self, records: Iterable[Record]) -> None:
        """Add records of the topic; a record without key or value is not a message of a bridge."""
        self.add(
            {
                digest_of(record.key, record.value, record.headers)
                for record in records
                if record.key is not None and record.value is not None
            }
        )

    def __contains__(self, digest: bytes) -> bool:
        if self._database is None:
            return digest in self._in_memory
        try:
            found = self._database.execute("SELECT 1 FROM message WHERE digest = ?", (digest,))
            return found.fetchone() is not None
        except sqlite3.Error as error:
            raise _ledger_failed(error) from error

    def close(self) -> None:
        """Free memory and disk."""
        self._in_memory.clear()
        if self._database is not None:
            self._database.close()

    def _insert(self, digests: Collection[bytes]) -> None:
        if self._database is None:
            # SQLite deletes its temporary file itself. The loop's thread uses it, too.
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._database.execute("CREATE TABLE message (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT OR IGNORE INTO message VALUES (?)", ((digest,) for digest in digests)
        )
        self._database.execute("COMMIT")


def digest_of(key: bytes, value: bytes, headers: Headers) -> bytes:
    """Return the digest of a message: of its key, value and identity."""
    identity = next((text for name, text in headers if name == _IDENTITY_HEADER), None)
    digest = blake2b(b"%d %d " % (len(key), len(value)), digest_size=_DIGEST_BYTES)
    digest.update(key)
    digest.update(value)
    digest.update(b"" if identity is None else b" " + identity)
    return digest.digest()


def key_digest(key: bytes) -> bytes:
    """Return the digest of a key, which no message has."""
    return blake2b(key, digest_size=_DIGEST_BYTES, person=b"key").digest()


def _ledger_failed(error: sqlite3.Error) -> Retryable:
    return Retryable(
        f"The temporary file for the messages of the topic failed: {error}",
        "Nothing is lost: nothing is sent before it works",
        "Make room in the temporary folder, or name another folder in SQLITE_TMPDIR or TMPDIR",
    )
