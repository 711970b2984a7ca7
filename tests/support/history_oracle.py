"""Judges messages by the entries that stood in a job's document after any of its writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from bridge.model.transition import Poison, Transition
from tests.support.array_writes import CURRENT, Document


class Entry(NamedTuple):
    """An entry of a history with the fields of a message; dates as ISO 8601."""

    trans_id: str | None
    state: Any
    time: Any

    @property
    def can_be_sent(self) -> bool:
        return isinstance(self.state, str) and isinstance(self.time, str) and "T" in self.time

    def degrades(self, other: Entry) -> bool:
        """Whether this is ``other`` without some of its values."""
        pairs = list(zip(self, other, strict=True))
        return self != other and all(mine is None or mine == theirs for mine, theirs in pairs)


#: An element that is not a document.
NO_DOCUMENT = Entry(None, None, None)


def entry_of(element: Any) -> Entry:
    if not isinstance(element, dict):
        return NO_DOCUMENT
    trans_id, time = element.get("trans_id"), element.get("time")
    return Entry(
        trans_id if isinstance(trans_id, str) and trans_id else None,
        element.get("state"),
        time.isoformat() if isinstance(time, datetime) else time,
    )


def entries_of(document: Document | None, arrays: Sequence[str]) -> list[Entry]:
    """The whole history: the archive, then the current array."""
    values = [(document or {}).get(name) for name in arrays]
    return [entry_of(e) for array in values if isinstance(array, list) for e in array]


@dataclass
class Standing:
    """The facts about an entry that stood.

    Attributes:
        commits: The numbers of the commits in which it appeared.
        times: How often it appeared, counted for each element.
        kept: It stood after a commit, not only between two writes of a transaction.
        appended: Its place in the order of writes, if it was appended: commit, write, index.
        final: Its place in the order of commits, if it was appended: commit, index after it.
        optional: A message is neither required nor wrong: an entry that lost values, or that once
            stood without its identity.
    """

    commits: list[int] = field(default_factory=list)
    times: int = 0
    kept: bool = False
    appended: tuple[int, ...] = ()
    final: tuple[int, ...] = ()
    optional: bool = False


class HistoryOracle:
    """Collects every entry of a job.

    Args:
        arrays: The fields of the history in its order.
    """

    def __init__(self, job_id: str, arrays: Sequence[str] = (CURRENT,)) -> None:
        self.job_id = job_id
        self._arrays = arrays
        self._now: list[Entry] = []
        self._writes = 0
        self.stood: dict[Entry, Standing] = {}
        #: The entry that had no identity, by the same entry with an identity.
        self._first_form: dict[Entry, Entry] = {}
        self.rewritten = False
        self.deleted = False

    def observe(self, document: Document | None, commit: int) -> None:
        """Note the job as it is right after a write of the commit."""
        before, now = self._now, entries_of(document, self._arrays)
        self._writes += 1
        self.deleted = self.deleted or (document is None and bool(self.stood))
        appended = now[: len(before)] == before
        self.rewritten = self.rewritten or not appended
        gone = Counter(before) - Counter(now)
        for entry, times in (Counter(now) - Counter(before)).items():
            without = entry._replace(trans_id=None)
            if entry != without and gone[without]:
                self._first_form[entry] = without
                continue
            standing = self.stood.setdefault(self._first_form.get(entry, entry), Standing())
            if not standing.times:
                identified = entry != without and without in self.stood and without not in now
                standing.optional = identified or _is_optional(entry, gone)
                standing.appended = (commit, self._writes, now.index(entry)) if appended else ()
            standing.times += times
            standing.commits.append(commit)
        self._now = now

    def commit(self) -> None:
        """Note that all writes since the last call became visible together."""
        for number, entry in enumerate(self._now):
            for form in {entry, self._first_form.get(entry, entry)}:
                if (standing := self.stood.get(form)) is None:
                    continue
                if standing.appended and not standing.kept:
                    standing.final = (standing.appended[0], number)
                standing.kept = True

    def copy(self) -> HistoryOracle:
        """Return the oracle as it is now, for a transaction that may be aborted."""
        return deepcopy(self)

    def judge(self, items: Iterable[Transition | Poison], repeats: int = 0) -> list[str]:
        """Return all complaints about the messages of this job.

        Args:
            repeats: How often an entry of a rewritten history may be repeated.
        """
        items = list(items)
        sent = [item for item in items if isinstance(item, Transition)]
        letters = [item for item in items if isinstance(item, Poison)]
        complaints, delivered = [], list[Entry]()
        for item in sent:
            entry = self._entry_sent(item)
            if entry is None:
                complaints.append(f"never stood: {item}")
            else:
                delivered.append(self._first_form.get(entry, entry))
        complaints += self._counts(Counter(delivered), letters, repeats if self.rewritten else 0)
        complaints += self._made_identities(sent)
        return complaints + self._order(delivered)

    def _entry_sent(self, item: Transition) -> Entry | None:
        with_id = Entry(item.trans_id, item.state, item.time)
        if with_id in self.stood or with_id in self._first_form:
            return with_id
        without = with_id._replace(trans_id=None)
        # An identity that the bridge makes is a UUID; those of the documents are not.
        made = without in self.stood and "/" not in item.trans_id
        return without if made else None

    def _counts(self, delivered: Counter[Entry], letters: list[Poison], repeats: int) -> list[str]:
        complaints = [f"no reason: {letter}" for letter in letters if not letter.reason]
        unsent, allowed = [], 0
        for entry, standing in self.stood.items():
            if delivered[entry] > standing.times + repeats:
                complaints.append(f"sent {delivered[entry]} times, stood {standing.times}: {entry}")
            if not entry.can_be_sent or not standing.kept or self.deleted:
                allowed += standing.times + repeats
                if not delivered[entry] and not standing.optional:
                    unsent.append(entry)
            elif not delivered[entry] and not standing.optional:
                complaints.append(f"not sent: {entry}")
        if len(letters) > allowed:
            complaints.append(f"{len(letters)} dead letters, at most {allowed}: {letters}")
        return complaints + _without_letter(self._each_commit(unsent), letters)

    def _each_commit(self, unsent: list[Entry]) -> list[Entry]:
        """Leave a single entry of each transaction whose entries stood only between its writes.

        A single dead letter may stand for all of them.
        """
        between = {self.stood[e].commits[0]: e for e in unsent if not self.stood[e].kept}
        return [e for e in unsent if self.stood[e].kept or e in between.values()]

    def _made_identities(self, sent: list[Transition]) -> list[str]:
        by_id: dict[str, set[tuple[str, str]]] = {}
        for item in sent:
            if "/" not in item.trans_id:
                by_id.setdefault(item.trans_id, set()).add((item.state, item.time))
        return [
            f"an identity for two: {key} {both}" for key, both in by_id.items() if len(both) > 1
        ]

    def _order(self, delivered: list[Entry]) -> list[str]:
        """Compare the first arrivals of the entries that were appended once and kept.

        Those of the same transaction may arrive in the order of its writes, or of the history
        after it.
        """
        places = [
            (standing.appended, standing.final, entry)
            for entry in dict.fromkeys(delivered)
            if (standing := self.stood[entry]).appended and standing.times == 1 and standing.kept
        ]
        return [
            f"out of order: {before[2]}, {after[2]}"
            for before, after in pairwise(places)
            if before[0] > after[0] and before[1] > after[1]
        ]


def _is_optional(entry: Entry, gone: Counter[Entry]) -> bool:
    """An entry that lost values, or an element that is not a document."""
    return entry == NO_DOCUMENT or any(entry.degrades(other) for other in gone)


def _without_letter(entries: list[Entry], letters: list[Poison]) -> list[str]:
    """Return the entries for which no dead letter is left; a letter stands for a single entry."""
    left, complaints = list(letters), []
    for entry in sorted(entries, key=lambda entry: str(entry)):
        for letter in left:
            if _may_name(letter, entry):
                left.remove(letter)
                break
        else:
            complaints.append(f"neither sent nor dead-lettered: {entry}")
    return complaints


def _may_name(letter: Poison, entry: Entry) -> bool:
    """Whether no field of the dead letter contradicts the entry."""
    pairs = zip((letter.trans_id, letter.state, letter.time), entry, strict=True)
    return all(not known or value is None or known == str(value) for known, value in pairs)
