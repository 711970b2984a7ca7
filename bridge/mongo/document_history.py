"""Finds the elements of an event in the document of its job."""

from typing import Any

from bridge.model.transition import BEFORE_FIRST, Poison, Transition
from bridge.mongo.client import Document
from bridge.mongo.elements import Element, make_transition, transitions_of
from bridge.mongo.event_fields import ELEMENT, STATE, TIME, TRANS_ID
from bridge.mongo.job_documents import JobDocuments


class DocumentHistory:
    """The history in a document, in which elements are found by their fields."""

    def __init__(self, documents: JobDocuments, document: Document) -> None:
        self.job_id = documents.job_id(document)
        self._document_id = document.get("_id")
        self._elements = [documents.shaped(element) for element in documents.elements(document)]
        self._items = transitions_of(self.job_id, self._elements, self._document_id)

    def find(self, element: Element) -> int | None:
        """Return the place of the same transition; None if the document does not contain it.

        The element must contain the identity, or state and time. All fields that it contains must
        be equal.
        """
        names = [name for name in ELEMENT if name in element]
        if TRANS_ID not in names and not {STATE, TIME} <= set(names):
            return None
        return next(
            (
                place
                for place, other in enumerate(self._elements)
                if all(other.get(name) == element[name] for name in names)
            ),
            None,
        )

    def item(self, place: int, job_id: Any) -> Transition | Poison:
        """Return the transition at a place."""
        before = self._items[place - 1].sequence if place else None
        return make_transition(
            job_id,
            BEFORE_FIRST if before is None else before,
            self._elements[place],
            self._document_id,
        )
