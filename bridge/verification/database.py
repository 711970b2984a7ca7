"""What the jobs tell and what the topic has, side by side in a small database of its own.

SQLite keeps it in a temporary file that it deletes itself, with a bounded cache, and sorts in as
much: any number of transitions are compared in bounded memory.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from bridge.errors import Retryable
from bridge.model.message import KEPT_CHARACTERS

#: In KiB, negative as SQLite wants it.
_CACHE = -32_768

_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE told (job TEXT, identity TEXT, sequence INTEGER, state TEXT, time TEXT, trans_id TEXT, reason TEXT);
CREATE TABLE arrived (job TEXT, identity TEXT, place INTEGER, at INTEGER, written REAL, state TEXT, time TEXT);
CREATE TABLE aside (job TEXT, identity TEXT, state TEXT, time TEXT, due INTEGER);
"""
_INDEXES = """
DROP INDEX IF EXISTS told_by; DROP INDEX IF EXISTS arrived_by; DROP INDEX IF EXISTS aside_by;
CREATE INDEX told_by ON told (job, identity); CREATE INDEX arrived_by ON arrived (job, identity, place, at); CREATE INDEX aside_by ON aside (job, identity);
"""
#: A dead letter has its texts shortened.
_MISSING = f"""
FROM told WHERE NOT EXISTS (SELECT 1 FROM arrived a WHERE a.job = told.job AND a.identity = told.identity)
AND NOT EXISTS (SELECT 1 FROM aside s WHERE s.job = substr(told.job, 1, {KEPT_CHARACTERS}) AND s.identity = substr(told.identity, 1, {KEPT_CHARACTERS}))
"""
#: Each once, however often it was set aside; what was sent since is in Kafka.
_ASIDE = """
FROM (SELECT job, identity, MIN(state) AS state, MIN(time) AS time FROM aside WHERE due GROUP BY job, identity) AS letter
WHERE NOT EXISTS (SELECT 1 FROM arrived a WHERE a.job = letter.job AND a.identity = letter.identity)
"""
_STRANGE = "FROM arrived WHERE NOT EXISTS (SELECT 1 FROM told t WHERE t.job = arrived.job AND t.identity = arrived.identity)"
#: Where each transition arrived first: offsets tell the order within a partition, times which partition was the first.
_FIRST = """
SELECT job, identity, place, at, ROW_NUMBER() OVER (PARTITION BY job, identity ORDER BY written, at) AS nth
FROM (SELECT job, identity, place, MIN(at) AS at, written FROM arrived GROUP BY job, identity, place)
"""
#: First arrivals that came after one of the same job that happened later, within a partition.
_DISORDERED = f"""
FROM (
  SELECT job, identity, state, time, place, at,
         MIN(at) OVER (PARTITION BY job, place ORDER BY sequence ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS later
  FROM (SELECT t.job AS job, t.identity AS identity, t.state AS state, t.time AS time, t.sequence AS sequence, a.place AS place, a.at AS at
        FROM told t JOIN ({_FIRST}) a ON a.job = t.job AND a.identity = t.identity WHERE a.nth = 1)
) WHERE at > later
"""


class Expected(NamedTuple):
    """A transition that a job tells. ``identity`` is what it is compared by; ``reason`` says why it cannot be sent, if so."""

    job: str
    identity: str
    sequence: int | None
    state: str
    time: str
    trans_id: str
    reason: str = ""


class Received(NamedTuple):
    """A message of the topic: partition, offset and when it was written (Unix seconds), and what it says."""

    job: str
    identity: str
    partition: int
    offset: int
    written: float
    state: str
    time: str


class DeadLettered(NamedTuple):
    """A dead letter, and whether it belongs to the time that is compared; one that does not still explains what is not in the topic."""

    job: str
    identity: str
    state: str
    time: str
    due: bool


class TransitionDatabase:
    """A context manager; fill it, ``compare`` it, then ask. Inside it, SQLite's own errors become ``Retryable`` at its end."""

    def __enter__(self) -> Self:
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            self._database.executescript(_TABLES)
            self._database.execute(f"PRAGMA cache_size = {_CACHE}")
        except sqlite3.Error as error:
            self._database.close()
            raise _no_room(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise _no_room(error) from error

    def tell(self, rows: Iterable[Expected]) -> None:
        self._many("INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def arrive(self, rows: Iterable[Received]) -> None:
        self._many("INSERT INTO arrived VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def set_aside(self, rows: Iterable[DeadLettered]) -> None:
        self._many(
            f"INSERT INTO aside VALUES (substr(?, 1, {KEPT_CHARACTERS}), substr(?, 1, {KEPT_CHARACTERS}), ?, ?, ?)",
            rows,
        )

    def compare(self) -> None:
        """To be called when everything is in."""
        self._database.executescript(_INDEXES)
        # A job that is read twice tells the same twice.
        self._database.execute(
            "DELETE FROM told WHERE rowid NOT IN (SELECT MIN(rowid) FROM told GROUP BY job, identity)"
        )

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        repeated = "SELECT COUNT(*) - COUNT(DISTINCT job || char(10) || identity) FROM arrived"
        return {
            "transitions": self._one("SELECT COUNT(*) FROM told"),
            "messages": self._one("SELECT COUNT(*) FROM arrived"),
            "missing": self._one(f"SELECT COUNT(*) {_MISSING}"),
            "repeated": self._one(repeated),
            "out_of_order": self._one(f"SELECT COUNT(*) {_DISORDERED}"),
            "strange": self._one(f"SELECT COUNT(*) {_STRANGE}"),
            "set_aside": self._one(f"SELECT COUNT(*) {_ASIDE}"),
        }

    def missing(self) -> Iterator[Expected]:
        """Those that are missing, a job's together and in order."""
        rows = self._database.execute(f"SELECT * {_MISSING} ORDER BY job, sequence, time")
        return (Expected(*row) for row in rows)

    def examples(self, most: int) -> dict[str, list[str]]:
        """The first few of each kind, in words."""
        repeated = "FROM arrived GROUP BY job, identity HAVING COUNT(*) > 1"
        kinds = {
            "missing": _MISSING,
            "repeated": repeated,
            "out_of_order": _DISORDERED,
            "strange": _STRANGE,
            "set_aside": _ASIDE,
        }
        return {
            kind: [
                " ".join(map(str, row))
                for row in self._database.execute(
                    f"SELECT job, state, time, identity {rest} LIMIT {most}"
                )
            ]
            for kind, rest in kinds.items()
        }

    def _one(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def _no_room(error: sqlite3.Error) -> Retryable:
    return Retryable(
        f"The temporary database in which jobs and topic are compared gave up: {error}",
        "Comparing changed nothing",
        "Make room in the temporary folder, or name another one in SQLITE_TMPDIR or TMPDIR, then try again",
    )
