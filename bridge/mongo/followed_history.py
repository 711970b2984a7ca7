"""The history of a job, kept up to date by the changes of its events."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.model.profile import Profile
from bridge.model.transition import BEFORE_FIRST, Poison, Transition
from bridge.mongo.array_index import NotAnArray, parse_index
from bridge.mongo.elements import Element, key_of, transitions_of, unidentified
from bridge.mongo.event_fields import (
    CHANGES,
    ELEMENT,
    ELEMENTS,
    PATH,
    REMOVED,
    SIZE,
    STATE,
    TIME,
    TRANS_ID,
    VALUE,
    WHOLE_ARCHIVE,
    WHOLE_HISTORY,
)

Raw = Mapping[str, Any]


class Change(NamedTuple):
    """A change of the history.

    Attributes:
        array: the field of the document.
        place: the index of an element; None for a change of the whole array.
        name: the changed field of the element, by its name in event_fields.py; empty for a new
            element.
        raw: the change as the event contains it.
    """

    array: str
    place: int | None
    name: str
    raw: Raw


class HistoryFields:
    """Reads changes by the field names of a profile."""

    def __init__(self, profile: Profile) -> None:
        self.arrays = profile.history_fields
        self._archive = profile.archive_field
        self._current = profile.transitions_field
        self._names = {
            profile.transition_state: STATE,
            profile.transition_time: TIME,
            profile.transition_trans_id: TRANS_ID,
        }

    def changes(self, raw: Raw) -> list[Change]:
        """Return an event's changes, those of the archive first; raises :class:`NotAnArray`."""
        if WHOLE_HISTORY in raw or WHOLE_ARCHIVE in raw:
            wholes = {self._archive: WHOLE_ARCHIVE, self._current: WHOLE_HISTORY}
            return [
                Change(array, None, "", {ELEMENTS: whole_array(raw, wholes[array])})
                for array in self.arrays
            ]
        changes = [self._change(change) for change in raw.get(CHANGES, ())]
        # The archive comes first, and equal ones keep their order.
        return sorted(changes, key=self._archive_first) if len(changes) > 1 else changes

    def _archive_first(self, change: Change) -> bool:
        return change.array != self._archive

    def _change(self, raw: Raw) -> Change:
        array, dot, rest = raw[PATH].partition(".")
        digits, _, name = rest.partition(".")
        if not dot:
            return Change(array, None, "", raw)
        return Change(array, parse_index(digits), self._names.get(name, name), raw)


class FollowedHistory:
    """A job's history and everything that was ever in it.

    Args:
        arrays: the fields of the profile, oldest transitions first.
        elements: the elements of each array.
    """

    def __init__(
        self, arrays: Sequence[str], elements: Mapping[str, Sequence[Element | None]]
    ) -> None:
        self._arrays = {array: [*elements.get(array, ())] for array in arrays}
        #: How often each element was delivered.
        self._delivered: dict[Hashable, int] = {}
        #: The elements that the latest changes removed.
        self._removed: set[Hashable] = set()
        self.deliver_all()

    @property
    def remembered(self) -> int:
        """How many elements are remembered."""
        return len(self._delivered)

    def size(self, array: str | None) -> int:
        """Return the length of an array."""
        return len(self._arrays.get(array or "", ()))

    def deliver_all(self) -> None:
        """Regard all present elements as delivered."""
        self._new()

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes of an event."""
        before = self._keys()
        # A truncated array shrinks before elements change.
        for change in sorted(changes, key=lambda change: change.place is not None):
            elements = self._arrays.get(change.array)
            if elements is None:
                continue
            if change.place is None:
                _change_array(elements, change.raw)
            else:
                _change_element(elements, change.place, change.name, change.raw)
        self._removed = before - self._keys()

    def deliver(self, job_id: Any, document_id: Any) -> tuple[list[Transition | Poison], int]:
        """Return the elements that were not delivered yet, and the last sequence of the history."""
        new = self._new()
        items = transitions_of(job_id, self._elements(), document_id)
        sequence = items[-1].sequence if items else BEFORE_FIRST
        return [items[place] for place in new], sequence or 0

    def _new(self) -> list[int]:
        """Return the places of elements that were not delivered yet, and remember these.

        Equal elements with an identity are the same transition; without an identity they are
        several.
        """
        new = []
        seen: dict[Hashable, int] = {}
        for place, element in enumerate(self._elements()):
            key = key_of(element)
            seen[key] = seen.get(key, 0) + 1
            delivered = self._delivered.get(key, 0)
            if seen[key] <= delivered or (delivered and element.get(TRANS_ID) is not None):
                continue
            self._delivered[key] = seen[key]
            # The service may have given an identity to an element that had none.
            if unidentified(key) not in self._removed:
                new.append(place)
        return new

    def _keys(self) -> set[Hashable]:
        return set(map(key_of, self._elements()))

    def _elements(self) -> Iterator[Element]:
        for elements in self._arrays.values():
            yield from (element for element in elements if element is not None)


def whole_array(raw: Raw, name: str) -> Sequence[Element | None]:
    """Return the elements of an array of a whole document; raises :class:`NotAnArray`."""
    elements = raw.get(name, ())
    if isinstance(elements, str):
        raise NotAnArray(f"its history is of type {elements}, not an array")
    return elements  # type: ignore[no-any-return]


def element_of(change: Raw) -> Element:
    """Return the fields of a new element."""
    return {name: change[name] for name in ELEMENT if name in change}


def _change_array(elements: list[Element | None], change: Raw) -> None:
    if SIZE in change:
        del elements[change[SIZE] :]
    elif ELEMENTS in change or REMOVED in change or change.get(VALUE, ...) is None:
        elements[:] = change.get(ELEMENTS, ())
    else:
        raise NotAnArray("its history is not an array")


def _change_element(elements: list[Element | None], index: int, name: str, change: Raw) -> None:
    elements.extend(None for _ in range(index + 1 - len(elements)))
    if not name:
        # A value that is not a document, as null where an element was unset, is not a transition.
        elements[index] = None if VALUE in change else element_of(change)
        return
    element = {**(elements[index] or {})}
    if REMOVED in change:
        element.pop(name, None)
    else:
        element[name] = change.get(VALUE, {})
    elements[index] = element
