"""The SQL of a comparison.

``expected`` contains the transitions of the jobs, ``received`` the records of the topic, and
``message`` the same records with the kind of each: ``right``, ``wrong`` or ``strange``.
"""

from bridge.model.message import KEPT_CHARACTERS


def _kept(column: str) -> str:
    """Truncate as a dead letter does."""
    return f"substr({column}, 1, {KEPT_CHARACTERS})"


TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE document (job TEXT, name TEXT, PRIMARY KEY (job, name)) WITHOUT ROWID;
CREATE TABLE expected (job TEXT, identity TEXT, made TEXT, letter TEXT, sequence INTEGER,
                       state TEXT, time TEXT, trans_id TEXT, reason TEXT, document TEXT,
                       in_span INTEGER, required INTEGER, moment REAL, arrived INTEGER DEFAULT 0);
CREATE TABLE received (job TEXT, identity TEXT, letter TEXT, kafka_partition INTEGER,
                       kafka_offset INTEGER, written REAL, committed REAL, state TEXT, time TEXT,
                       in_span INTEGER, valid INTEGER, remark TEXT);
CREATE TABLE dead_lettered (job TEXT, identity TEXT, state TEXT, time TEXT, in_span INTEGER);
CREATE TABLE message (job TEXT, identity TEXT, letter TEXT, kafka_partition INTEGER,
                      kafka_offset INTEGER, written REAL, committed REAL, state TEXT, time TEXT,
                      remark TEXT, counted INTEGER, kind TEXT, transition_key, known INTEGER);
"""
INDEXES = f"""
CREATE INDEX IF NOT EXISTS expected_identity ON expected (identity, job, state, time);
CREATE INDEX IF NOT EXISTS expected_made ON expected (made, job, state, time) WHERE made <> '';
CREATE INDEX IF NOT EXISTS expected_known ON expected (identity, in_span);
CREATE INDEX IF NOT EXISTS expected_known_made ON expected (made, in_span) WHERE made <> '';
CREATE INDEX IF NOT EXISTS expected_job ON expected (job, in_span);
CREATE INDEX IF NOT EXISTS expected_letter ON expected ({_kept("job")}, {_kept("letter")});
CREATE INDEX IF NOT EXISTS expected_made_letter ON expected ({_kept("job")}, made)
  WHERE made <> '';
CREATE INDEX IF NOT EXISTS dead_lettered_index ON dead_lettered (job, identity);
"""
#: A job that was read twice has its transitions twice; those that are required were read first.
CLEAR = """
DROP INDEX IF EXISTS message_job;
DROP INDEX IF EXISTS message_transition;
DELETE FROM message;
DELETE FROM expected
WHERE rowid NOT IN (SELECT MIN(rowid) FROM expected GROUP BY job, identity, state, time);
"""

_FIELDS = (
    "job, identity, letter, kafka_partition, kafka_offset, written, committed, state, time, remark"
)
#: The transition of a message: with the same job, state and time, and with its identity or with
#: the identity that was made before the document contained an identity.
_TRANSITION = """
CASE WHEN valid THEN COALESCE(
  (SELECT MIN(e.rowid) FROM expected AS e
   WHERE e.identity = r.identity AND e.job = r.job AND e.state = r.state AND e.time = r.time),
  (SELECT MIN(e.rowid) FROM expected AS e
   WHERE e.made = r.identity AND e.made <> '' AND e.job = r.job AND e.state = r.state
     AND e.time = r.time)
) END
"""
#: Null if no job contains the identity; else whether such a transition is in the span.
_IDENTITY_KNOWN = """
(SELECT MAX(known) FROM (
  SELECT MAX(in_span) AS known FROM expected WHERE identity = r.identity
  UNION ALL SELECT MAX(in_span) FROM expected WHERE made = r.identity AND made <> ''))
"""
#: Jobs without a history: every valid message of a job that exists is right.
_TRANSITION_BY_STATE = """
CASE WHEN valid AND EXISTS (SELECT 1 FROM expected AS e WHERE e.job = r.job)
     THEN r.job || char(10) || r.identity END
"""
_IDENTITY_KNOWN_BY_STATE = """
(SELECT MAX(known) FROM (
  SELECT MAX(in_span) AS known FROM expected WHERE identity = r.identity
  UNION ALL SELECT MAX(in_span) FROM expected WHERE job = r.job))
"""


_MESSAGE_INDEXES = """
CREATE INDEX message_job ON message (job, kind);
CREATE INDEX message_transition ON message (transition_key);
"""


def _classify(transition: str, known: str) -> tuple[str, ...]:
    """Return the statements that fill ``message``; each expensive expression is evaluated once."""
    return (
        f"INSERT INTO message SELECT {_FIELDS}, in_span, 'right', {transition}, NULL "
        "FROM received AS r",
        f"UPDATE message AS r SET known = {known} WHERE transition_key IS NULL",
        "UPDATE message SET counted = counted OR COALESCE(known, 0), "
        "kind = CASE WHEN known IS NULL THEN 'strange' ELSE 'wrong' END "
        "WHERE transition_key IS NULL",
        _MESSAGE_INDEXES,
    )


#: A search in ``message`` by an integer would not use the index.
_MARK_ARRIVED = """
UPDATE expected SET arrived = 1
WHERE rowid IN (SELECT transition_key FROM message WHERE kind = 'right')
"""
#: The document's time may be later than that of the state, so the job's last message counts too.
_MARK_ARRIVED_BY_STATE = """
UPDATE expected SET arrived = EXISTS (
  SELECT 1 FROM message AS m
  WHERE m.kind = 'right' AND m.transition_key = expected.job || char(10) || expected.identity
) OR COALESCE(expected.state = (
  SELECT m.state FROM message AS m
  WHERE m.job = expected.job AND m.kind = 'right' AND m.counted
  ORDER BY m.written DESC, m.kafka_offset DESC LIMIT 1), 0)
"""
#: A compacted topic is sure to contain the latest message of each key only, so only that is
#: compared, with the latest transition of its job. Documents that share a job id are not
#: compared: it is unknown which of them has the latest.
COMPACT = """
DELETE FROM received WHERE valid AND rowid NOT IN (
  SELECT position FROM (
    SELECT rowid AS position, ROW_NUMBER() OVER (
      PARTITION BY job, kafka_partition ORDER BY kafka_offset DESC) AS age
    FROM received WHERE valid) WHERE age = 1);
UPDATE expected SET required = 0 WHERE job IN (
  SELECT job FROM document GROUP BY job HAVING COUNT(*) > 1) OR rowid NOT IN (
  SELECT position FROM (
    SELECT rowid AS position, ROW_NUMBER() OVER (
      PARTITION BY job ORDER BY sequence DESC, time DESC) AS age
    FROM expected) WHERE age = 1);
"""
#: By whether the jobs have no history: compares all rows, again after more were added.
COMPARE = {
    False: (*_classify(_TRANSITION, _IDENTITY_KNOWN), _MARK_ARRIVED),
    True: (*_classify(_TRANSITION_BY_STATE, _IDENTITY_KNOWN_BY_STATE), _MARK_ARRIVED_BY_STATE),
}

TRANSITIONS = "FROM expected WHERE in_span AND (required OR arrived)"
MESSAGES = "FROM message WHERE counted"
#: The texts of a dead letter are truncated, so they are compared truncated.
MISSING = f"""
FROM expected
WHERE in_span AND required AND NOT arrived
  AND NOT EXISTS (SELECT 1 FROM dead_lettered AS d
                  WHERE d.job = {_kept("expected.job")}
                    AND d.identity IN ({_kept("expected.letter")}, expected.made))
"""
RIGHT = "FROM message WHERE counted AND kind = 'right'"
DUPLICATES = f"SELECT COUNT(*) - COUNT(DISTINCT transition_key) {RIGHT}"
DUPLICATED = f"{RIGHT} GROUP BY transition_key HAVING COUNT(*) > 1"
WRONG = "FROM message WHERE counted AND kind = 'wrong'"
STRANGE = "FROM message WHERE counted AND kind = 'strange'"
#: Each transition counts once, however many dead letters it has; not if it was sent since.
DEAD_LETTERED = f"""
FROM (SELECT job, identity, MIN(state) AS state, MIN(time) AS time FROM dead_lettered
      WHERE in_span GROUP BY job, identity) AS letter
WHERE NOT EXISTS (SELECT 1 FROM message AS m
                  WHERE m.job = letter.job AND m.letter = letter.identity AND m.kind <> 'wrong')
  AND NOT EXISTS (SELECT 1 FROM expected AS e
                  WHERE {_kept("e.job")} = letter.job AND {_kept("e.letter")} = letter.identity
                    AND e.arrived)
  AND NOT EXISTS (SELECT 1 FROM expected AS e
                  WHERE {_kept("e.job")} = letter.job AND e.made = letter.identity
                    AND e.made <> '' AND e.arrived)
"""
#: The first arrival of each transition: offsets order the messages of a partition, times order
#: the partitions.
_FIRST_ARRIVALS = """
SELECT transition_key, kafka_partition, kafka_offset,
       ROW_NUMBER() OVER (PARTITION BY transition_key ORDER BY written, kafka_offset) AS arrival
FROM (SELECT transition_key, kafka_partition, MIN(kafka_offset) AS kafka_offset, written
      FROM message WHERE counted AND kind = 'right' GROUP BY transition_key, kafka_partition)
"""
#: First arrivals after the first arrival of a later transition of the same job, in a partition.
OUT_OF_ORDER = f"""
FROM (
  SELECT job, identity, state, time, kafka_offset,
         MIN(kafka_offset) OVER (
           PARTITION BY job, document, kafka_partition ORDER BY sequence
           ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
         ) AS first_later_offset
  FROM (SELECT e.job AS job, e.identity AS identity, e.state AS state, e.time AS time,
               e.sequence AS sequence, e.document AS document,
               a.kafka_partition AS kafka_partition, a.kafka_offset AS kafka_offset
        FROM expected AS e JOIN ({_FIRST_ARRIVALS}) AS a ON a.transition_key = e.rowid
        WHERE a.arrival = 1)
) WHERE kafka_offset > first_later_offset
"""
#: A transition counts by its first message, whenever that was written. SQLite takes a column
#: beside MIN from the row of the minimum.
LATE = """
SELECT COUNT(*)
FROM expected AS e LEFT JOIN (
  SELECT transition_key, MIN(written) AS written, committed
  FROM message WHERE kind = 'right' GROUP BY transition_key) AS m ON m.transition_key = e.rowid
WHERE e.in_span AND (e.required OR e.arrived)
  AND (m.written IS NULL OR m.written > COALESCE(m.committed, e.moment) + ?)
"""
#: Documents whose job id is not valid have none here; their transitions are dead letters.
SHARED_IDS = "FROM document WHERE job <> '' GROUP BY job HAVING COUNT(*) > 1"

_NAMED = "SELECT job, state, time, identity"
#: A message that the jobs do not contain: also where it is, and the fields that it should have.
_RECORD = f"{_NAMED}, '(' || kafka_partition || ':' || kafka_offset || remark || ')'"
_TRANSITION_NAMED = """
SELECT 'instead of ' || e.job || ' ' || e.state || ' ' || e.time FROM expected AS e
WHERE (e.identity = message.identity OR (e.made = message.identity AND e.made <> ''))
"""
_RECORD_AND_TRANSITION = f"""
{_RECORD}, COALESCE(({_TRANSITION_NAMED} AND e.job = message.job LIMIT 1),
                    ({_TRANSITION_NAMED} LIMIT 1), '')
"""
#: The examples of each kind, in the order of the printed table.
EXAMPLES = {
    "missing": f"{_NAMED} {MISSING}",
    "repeated": f"{_NAMED} {DUPLICATED}",
    "out_of_order": f"{_NAMED} {OUT_OF_ORDER}",
    "strange": f"{_RECORD} {STRANGE}",
    "wrong": f"{_RECORD_AND_TRANSITION} {WRONG}",
    "set_aside": f"{_NAMED} {DEAD_LETTERED}",
    "shared_ids": f"SELECT job, COUNT(*) || ' documents:', GROUP_CONCAT(name, ', ') {SHARED_IDS}",
}
COUNTS = {
    "transitions": f"SELECT COUNT(*) {TRANSITIONS}",
    "messages": f"SELECT COUNT(*) {MESSAGES}",
    "missing": f"SELECT COUNT(*) {MISSING}",
    "repeated": DUPLICATES,
    "out_of_order": f"SELECT COUNT(*) {OUT_OF_ORDER}",
    "strange": f"SELECT COUNT(*) {STRANGE}",
    "wrong": f"SELECT COUNT(*) {WRONG}",
    "set_aside": f"SELECT COUNT(*) {DEAD_LETTERED}",
    "shared_ids": f"SELECT COUNT(*) FROM (SELECT job {SHARED_IDS})",
}
