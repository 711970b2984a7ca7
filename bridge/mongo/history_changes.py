"""Finds the transitions of an event that does more than append one element.

Such an event contains neither the elements that stay nor all fields of those that change. So the
document is read as it was before the event, and the changes are applied to it; an element that was
in the history before is not a new transition. Nothing is guessed: where MongoDB no longer has the
document of that time, an element that neither the event nor the document contains whole is
dead-lettered.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from bridge.logs import BatchNotes
from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import BEFORE_FIRST, Poison, Transition
from bridge.mongo.client import Document
from bridge.mongo.document_history import DocumentHistory
from bridge.mongo.elements import Element, make_poison, make_transition, time_text
from bridge.mongo.event_fields import (
    CHANGED_ID,
    DOCUMENT_KEY,
    ELEMENT,
    ELEMENTS,
    JOB_ID,
    OPERATION,
    REMOVED,
    STATE,
    TIME,
    TRANS_ID,
    VALUE,
)
from bridge.mongo.followed_history import Change, FollowedHistory, HistoryFields, element_of
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_ids import DELETED, MissingJobId
from bridge.mongo.job_lookup import JobLookup
from bridge.mongo.known_jobs import KnownJob, cache_key
from bridge.mongo.raw_text import text_of_id
from bridge.mongo.transactions import same_commit

#: Elements remembered for each job; a job with more is read again.
_MAX_REMEMBERED = 1000

_OTHER = MissingJobId("the document of this job no longer contains the transition")

Raw = dict[str, Any]
Items = Sequence[Transition | Poison]


class HistoryChanges:
    """Decodes the events of jobs that are not known, or whose history changes otherwise.

    Args:
        start: where the stream starts. The earlier events of a transaction that it starts inside
            of are not known.
        notes: collects the warnings of a batch.
    """

    def __init__(
        self,
        profile: Profile,
        documents: JobDocuments,
        lookup: JobLookup,
        *,
        start: Position,
        notes: BatchNotes,
    ) -> None:
        self._fields = HistoryFields(profile)
        self._current = profile.transitions_field
        self._documents = documents
        self._lookup = lookup
        self._start = start
        self._notes = notes

    def items(
        self,
        raw: Raw,
        job: KnownJob,
        position: Position,
        document: Document | None,
        known: Sequence[Raw],
    ) -> Items:
        """Return the transitions of an event.

        Args:
            document: the job's current document, if it was looked up.
            known: the events of its batch and those before; some may belong to its transaction.
        """
        changes = self._fields.changes(raw)
        if not changes:
            return ()
        items: Items = ()
        if job.sequence is None:
            items = self._appended(raw, job, document, changes)
        if not items:
            history = job.history or self._before(raw, job, position, known)
            if history is None:
                items = self._by_themselves(raw, job, position, document, changes)
            else:
                items = self._followed(raw, job, history, changes)
        job.remember_delivered(items)
        return items

    def _followed(
        self, raw: Raw, job: KnownJob, history: FollowedHistory, changes: Sequence[Change]
    ) -> Items:
        """Return the elements that the event adds to a history that is known."""
        history.apply(changes)
        job.size = history.size(self._current)
        items, sequence = history.deliver(job.job_id, raw[DOCUMENT_KEY])
        if isinstance(job.job_id, str):
            job.sequence = sequence
        too_long = history.remembered > _MAX_REMEMBERED
        job.history = None if too_long or job.sequence is None else history
        return items

    def _appended(
        self, raw: Raw, job: KnownJob, document: Document | None, changes: Sequence[Change]
    ) -> Items:
        """Return the only new element of a job, if its current document contains it."""
        first = changes[0]
        if document is None or len(changes) > 1 or first.array != self._current or first.name:
            return ()
        if first.place is None:
            return ()
        image = DocumentHistory(self._documents, document)
        found = image.find(element_of(first.raw))
        if found is None or (CHANGED_ID in raw and image.job_id != job.job_id):
            return ()
        item = image.item(found, image.job_id)
        job.job_id = image.job_id
        job.size = first.place + 1
        if isinstance(job.job_id, str):
            job.sequence = item.sequence
        return (item,)

    def _before(
        self, raw: Raw, job: KnownJob, position: Position, known: Sequence[Raw]
    ) -> FollowedHistory | None:
        """Return the job's history before the event; None if it is not known."""
        time = position.cluster_time
        if self._start.token and time == self._start.cluster_time:
            return None
        image = self._lookup.at(raw[DOCUMENT_KEY], time.previous())
        before_it = [*same_commit(raw, known)]
        if image is None or not (image.document or before_it):
            return None
        document = image.document or {}
        own_id = raw[OPERATION] != "update" or raw.keys() & {JOB_ID, CHANGED_ID} or before_it
        if job.sequence is None and not own_id:
            job.job_id = self._documents.job_id(document)
        history = FollowedHistory(self._fields.arrays, self._documents.arrays(document))
        for event in before_it:
            history.apply(self._fields.changes(event))
            history.deliver_all()
        return history

    def _by_themselves(
        self,
        raw: Raw,
        job: KnownJob,
        position: Position,
        document: Document | None,
        changes: Sequence[Change],
    ) -> Items:
        """Return the elements that the event or the document contains whole."""
        job.size = None
        # An identity alone belongs to an element that was delivered before it had one.
        elements = [
            (element, whole)
            for element, whole in _elements_of(changes)
            if element.keys() - {TRANS_ID} and not _was_delivered(element, job)
        ]
        self._note_repeats(raw, changes, elements)
        image, found = self._found(raw[DOCUMENT_KEY], position, document, elements)
        if job.sequence is None:
            known = image is not None and found.count(None) < len(found)
            if image is not None and known and not raw.keys() & {JOB_ID, CHANGED_ID}:
                job.job_id = image.job_id
            elif not isinstance(job.job_id, str):
                job.job_id = _OTHER if image else DELETED
        previous = BEFORE_FIRST if job.sequence is None else job.sequence
        items: list[Transition | Poison] = []
        for (element, whole), place in zip(elements, found, strict=True):
            if image is not None and place is not None:
                item = image.item(place, job.job_id)
            elif whole:
                item = make_transition(job.job_id, previous, element, raw[DOCUMENT_KEY])
            else:
                item = _unknown(job.job_id, element, raw[DOCUMENT_KEY])
            previous = max(previous, item.sequence or 0)
            items.append(item)
        if items and isinstance(job.job_id, str):
            job.sequence = previous
        return items

    def _note_repeats(
        self, raw: Raw, changes: Sequence[Change], elements: Sequence[tuple[Element, bool]]
    ) -> None:
        if elements and any(change.place is None and ELEMENTS in change.raw for change in changes):
            self._notes.add(
                "a history was rewritten, and MongoDB no longer has it as it was before: all its "
                "transitions of unknown age are sent; consumers recognise repeats by trans_id",
                f"document _id {text_of_id(raw[DOCUMENT_KEY])}",
            )

    def _found(
        self,
        key: Any,
        position: Position,
        document: Document | None,
        elements: Sequence[tuple[Element, bool]],
    ) -> tuple[DocumentHistory | None, list[int | None]]:
        """Return the document of an event, and the places in it of the event's elements."""
        image = self._image(key, position, document)
        places = _places(image, elements)
        if image is not None and elements and places.count(None) == len(places):
            # A collection with the same _id values may have the name of a renamed one.
            renamed = self._lookup.renamed(key, position.token)
            if renamed is not None:
                image = DocumentHistory(self._documents, renamed)
                places = _places(image, elements)
        return image, places

    def _image(
        self, key: Any, position: Position, document: Document | None
    ) -> DocumentHistory | None:
        """Return the document after the event; as it is now if MongoDB no longer has that."""
        after = self._lookup.at(key, position.cluster_time)
        if after is not None and after.document is not None:
            document = after.document
        if document is None:
            document = self._lookup.current([key], position.token).get(cache_key(key))
        return None if document is None else DocumentHistory(self._documents, document)


def _was_delivered(element: Element, job: KnownJob) -> bool:
    """Whether the stream delivered this element with its identity, and its state and time if known.

    The event does not contain a state or a time that equals that of the element replaced.
    """
    if not element.get(TRANS_ID):
        return False
    given = {name: element[name] for name in ELEMENT if name in element}
    if isinstance(given.get(TIME), datetime):
        given[TIME] = time_text(given[TIME])
    return any(
        given.items() <= {TRANS_ID: item.trans_id, STATE: item.state, TIME: item.time}.items()
        for item in job.delivered
    )


def _places(
    image: DocumentHistory | None, elements: Iterable[tuple[Element, bool]]
) -> list[int | None]:
    return [image.find(element) if image else None for element, _ in elements]


def _elements_of(changes: Sequence[Change]) -> Iterator[tuple[Element, bool]]:
    """Return the elements of an event, and whether the event contains them whole."""
    partial: dict[tuple[str, int], Element] = {}
    for change in changes:
        if change.place is None:
            whole = change.raw.get(ELEMENTS, ())
            yield from ((element, True) for element in whole if element is not None)
        elif not change.name and VALUE not in change.raw:
            yield element_of(change.raw), True
        elif change.name in ELEMENT and REMOVED not in change.raw:
            element = partial.setdefault((change.array, change.place), {})
            element[change.name] = change.raw.get(VALUE)
    for element in partial.values():
        yield element, element.keys() >= {*ELEMENT}


def _unknown(job_id: Any, element: Element, document_id: Any) -> Poison:
    names = {STATE: "state", TIME: "time", TRANS_ID: "identity"}
    missing = " and ".join(name for field, name in names.items() if field not in element)
    return make_poison(
        f"the transition stood for a moment only: its {missing} can no longer be read",
        job_id,
        element,
        document_id,
    )
