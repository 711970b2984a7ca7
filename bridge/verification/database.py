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
from bridge.verification import queries

#: In KiB; SQLite wants the negative number for that unit.
_CACHE_SIZE = -32_768


class Expected(NamedTuple):
    """A transition that a job contains.

    Attributes:
        identity: Of the message.
        made: The identity that the bridge makes for a document without identities; empty if it
            cannot.
        letter: The identity of its dead letter.
        reason: Why it cannot be sent; empty if it can.
        document: The document that contains it, as text.
        in_span: Whether its own time belongs to the compared time span.
        required: Whether it is missing if there is no message.
        moment: Its own time in Unix seconds; None if it has none.
    """

    job: str
    identity: str
    made: str
    letter: str
    sequence: int | None
    state: str
    time: str
    trans_id: str
    reason: str
    document: str
    in_span: bool
    required: bool
    moment: float | None


class Received(NamedTuple):
    """A message of the topic.

    Attributes:
        letter: The identity that a dead letter of the same transition has.
        written: Its timestamp in Unix seconds.
        committed: When MongoDB committed its transition, in Unix seconds; None if it does not say.
        in_span: Whether its own time belongs to the compared time span.
        valid: Whether its key is its job id, and its fields agree with each other.
        remark: Says why it is not valid.
    """

    job: str
    identity: str
    letter: str
    partition: int
    offset: int
    written: float
    committed: float | None
    state: str
    time: str
    in_span: bool
    valid: bool
    remark: str = ""


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
            self._database.executescript(queries.TABLES)
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

    def add_documents(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add job ids, each with the name of a document that has it."""
        self._insert("INSERT OR IGNORE INTO document VALUES (?, ?)", rows)

    def add_expected(self, rows: Iterable[Expected]) -> None:
        self._insert(f"INSERT INTO expected VALUES ({'?, ' * 13}0)", rows)

    def add_received(self, rows: Iterable[Received]) -> None:
        self._insert(f"INSERT INTO received VALUES ({'?, ' * 11}?)", rows)

    def add_dead_lettered(self, rows: Iterable[DeadLettered]) -> None:
        kept = f"substr(?, 1, {KEPT_CHARACTERS})"
        self._insert(f"INSERT INTO dead_lettered VALUES ({kept}, {kept}, ?, ?, ?)", rows)

    def prepare(self, *, by_state: bool, compacted: bool = False) -> None:
        """Compare all rows; again after more were added.

        ``compacted`` compares only the latest message and the latest transition of each job.
        """
        compact = [queries.COMPACT] if compacted else []
        for script in (queries.CLEAR, *compact, queries.INDEXES, *queries.COMPARE[by_state]):
            self._database.executescript(script)

    def jobs_of_strange(self, after: str, limit: int) -> list[str]:
        """Return the next job ids, after ``after``, of messages that the jobs do not explain."""
        rows = self._database.execute(
            f"SELECT DISTINCT job {queries.STRANGE} AND job > ? ORDER BY job LIMIT ?",
            (after, limit),
        )
        return [job for (job,) in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of transitions and messages of each kind."""
        return {
            kind: int(self._database.execute(query).fetchone()[0])
            for kind, query in queries.COUNTS.items()
        }

    def late(self, seconds: float) -> int:
        """Return how many transitions have no message within ``seconds`` after their commit.

        A transition's own time counts if its first message does not contain the commit's. Only for
        jobs with a history. Missing and dead-lettered transitions are among them.
        """
        return int(self._database.execute(queries.LATE, (seconds,)).fetchone()[0])

    def missing(self) -> Iterator[Expected]:
        """Return the missing transitions, grouped by job and in the job's order."""
        columns = ", ".join(Expected._fields)
        rows = self._database.execute(
            f"SELECT {columns} {queries.MISSING} ORDER BY job, document, sequence, time"
        )
        return (Expected(*row) for row in rows)

    def examples(self, max_per_kind: int) -> dict[str, list[str]]:
        """Return the first transitions or messages of each kind, as text."""
        return {
            kind: [
                " ".join(map(str, row)).rstrip()
                for row in self._database.execute(f"{query} LIMIT {max_per_kind}")
            ]
            for kind, query in queries.EXAMPLES.items()
        }

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
