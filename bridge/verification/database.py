"""A temporary database with the transitions of the jobs and the messages of the topic.

SQLite keeps it in a temporary file, which it deletes itself. Its cache and its sorts are bounded,
so any number of transitions is compared in bounded memory.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from bridge.errors import Retryable
from bridge.model.message import KEPT_CHARACTERS

#: In KiB; SQLite wants the negative number for that unit.
_CACHE_SIZE = -32_768

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE expected (job TEXT, identity TEXT, sequence INTEGER, state TEXT, time TEXT,
                       trans_id TEXT, reason TEXT);
CREATE TABLE received (job TEXT, identity TEXT, kafka_partition INTEGER, kafka_offset INTEGER,
                       written REAL, state TEXT, time TEXT);
CREATE TABLE dead_lettered (job TEXT, identity TEXT, state TEXT, time TEXT, in_span INTEGER);
"""
_INDEXES = """
DROP INDEX IF EXISTS expected_index;
DROP INDEX IF EXISTS received_index;
DROP INDEX IF EXISTS dead_lettered_index;
CREATE INDEX expected_index ON expected (job, identity);
CREATE INDEX received_index ON received (job, identity, kafka_partition, kafka_offset);
CREATE INDEX dead_lettered_index ON dead_lettered (job, identity);
"""
#: A job that was read twice has its transitions twice.
_DELETE_REPEATED_EXPECTED = """
DELETE FROM expected
WHERE rowid NOT IN (SELECT MIN(rowid) FROM expected GROUP BY job, identity)
"""
#: The texts of a dead letter are truncated, so they are compared truncated.
_MISSING = f"""
FROM expected
WHERE NOT EXISTS (SELECT 1 FROM received AS r
                  WHERE r.job = expected.job AND r.identity = expected.identity)
  AND NOT EXISTS (SELECT 1 FROM dead_lettered AS d
                  WHERE d.job = substr(expected.job, 1, {KEPT_CHARACTERS})
                    AND d.identity = substr(expected.identity, 1, {KEPT_CHARACTERS}))
"""
_DUPLICATES = "SELECT COUNT(*) - COUNT(DISTINCT job || char(10) || identity) FROM received"
_DUPLICATED = "FROM received GROUP BY job, identity HAVING COUNT(*) > 1"
#: Each transition counts once, however many dead letters it has; not if it was sent since.
_DEAD_LETTERED = """
FROM (SELECT job, identity, MIN(state) AS state, MIN(time) AS time FROM dead_lettered
      WHERE in_span GROUP BY job, identity) AS letter
WHERE NOT EXISTS (SELECT 1 FROM received AS r
                  WHERE r.job = letter.job AND r.identity = letter.identity)
"""
_UNEXPECTED = """
FROM received
WHERE NOT EXISTS (SELECT 1 FROM expected AS e
                  WHERE e.job = received.job AND e.identity = received.identity)
"""
#: The first arrival of each transition: offsets order the messages of a partition, times order
#: the partitions.
_FIRST_ARRIVALS = """
SELECT job, identity, kafka_partition, kafka_offset,
       ROW_NUMBER() OVER (PARTITION BY job, identity ORDER BY written, kafka_offset) AS arrival
FROM (SELECT job, identity, kafka_partition, MIN(kafka_offset) AS kafka_offset, written
      FROM received GROUP BY job, identity, kafka_partition)
"""
#: First arrivals after the first arrival of a later transition of the same job, in a partition.
_OUT_OF_ORDER = f"""
FROM (
  SELECT job, identity, state, time, kafka_offset,
         MIN(kafka_offset) OVER (
           PARTITION BY job, kafka_partition ORDER BY sequence
           ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
         ) AS first_later_offset
  FROM (SELECT e.job AS job, e.identity AS identity, e.state AS state, e.time AS time,
               e.sequence AS sequence, a.kafka_partition AS kafka_partition,
               a.kafka_offset AS kafka_offset
        FROM expected AS e JOIN ({_FIRST_ARRIVALS}) AS a
          ON a.job = e.job AND a.identity = e.identity
        WHERE a.arrival = 1)
) WHERE kafka_offset > first_later_offset
"""


class Expected(NamedTuple):
    """A transition that a job contains.

    ``identity`` is compared; ``reason`` says why it cannot be sent, and is empty if it can.
    """

    job: str
    identity: str
    sequence: int | None
    state: str
    time: str
    trans_id: str
    reason: str = ""


class Received(NamedTuple):
    """A message of the topic; ``written`` is its timestamp in Unix seconds."""

    job: str
    identity: str
    partition: int
    offset: int
    written: float
    state: str
    time: str


class DeadLettered(NamedTuple):
    """A dead letter.

    ``in_span`` says whether it belongs to the compared time span. Outside of it, it still explains
    why a transition is not in the topic.
    """

    job: str
    identity: str
    state: str
    time: str
    in_span: bool


class TransitionDatabase:
    """A context manager around the database: add rows, ``prepare``, then query.

    Inside the context, SQLite's errors leave it as ``Retryable``.
    """

    def __enter__(self) -> Self:
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            self._database.executescript(_TABLES)
            self._database.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")
        except sqlite3.Error as error:
            self._database.close()
            raise _database_failed(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise _database_failed(error) from error

    def add_expected(self, rows: Iterable[Expected]) -> None:
        self._insert("INSERT INTO expected VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def add_received(self, rows: Iterable[Received]) -> None:
        self._insert("INSERT INTO received VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def add_dead_lettered(self, rows: Iterable[DeadLettered]) -> None:
        kept = f"substr(?, 1, {KEPT_CHARACTERS})"
        self._insert(f"INSERT INTO dead_lettered VALUES ({kept}, {kept}, ?, ?, ?)", rows)

    def prepare(self) -> None:
        """Prepare the queries, after all rows were added."""
        self._database.executescript(_INDEXES)
        self._database.execute(_DELETE_REPEATED_EXPECTED)

    def counts(self) -> dict[str, int]:
        """Return the number of transitions and messages of each kind."""
        return {
            "transitions": self._count("SELECT COUNT(*) FROM expected"),
            "messages": self._count("SELECT COUNT(*) FROM received"),
            "missing": self._count(f"SELECT COUNT(*) {_MISSING}"),
            "repeated": self._count(_DUPLICATES),
            "out_of_order": self._count(f"SELECT COUNT(*) {_OUT_OF_ORDER}"),
            "strange": self._count(f"SELECT COUNT(*) {_UNEXPECTED}"),
            "set_aside": self._count(f"SELECT COUNT(*) {_DEAD_LETTERED}"),
        }

    def missing(self) -> Iterator[Expected]:
        """Return the missing transitions, grouped by job and in the job's order."""
        rows = self._database.execute(f"SELECT * {_MISSING} ORDER BY job, sequence, time")
        return (Expected(*row) for row in rows)

    def examples(self, max_per_kind: int) -> dict[str, list[str]]:
        """Return the first transitions or messages of each kind, as text."""
        kinds = {
            "missing": _MISSING,
            "repeated": _DUPLICATED,
            "out_of_order": _OUT_OF_ORDER,
            "strange": _UNEXPECTED,
            "set_aside": _DEAD_LETTERED,
        }
        return {
            kind: [
                " ".join(map(str, row))
                for row in self._database.execute(
                    f"SELECT job, state, time, identity {selection} LIMIT {max_per_kind}"
                )
            ]
            for kind, selection in kinds.items()
        }

    def _count(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def _database_failed(error: sqlite3.Error) -> Retryable:
    return Retryable(
        f"The temporary database for the comparison of jobs and topic failed: {error}",
        "The comparison changed nothing",
        "Make room in the temporary folder, or name another folder in SQLITE_TMPDIR or TMPDIR, "
        "then try again",
    )
