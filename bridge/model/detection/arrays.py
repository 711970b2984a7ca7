"""The arrays of documents in a sample, which may be histories."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from bridge.model.detection.candidates import Candidate, Choice, choose, name_problem
from bridge.model.detection.names import ELEMENT_ID, ELEMENT_STATE, ELEMENT_TIME, likeness
from bridge.model.detection.values import MOST, Field, is_short, percent, seconds_of, share

Element = Mapping[str, Any]


class ArrayOfDocuments:
    """A field whose values are arrays of documents.

    Attributes:
        field: the field of the jobs.
        jobs: the elements of each job's array, oldest first; empty where it is missing.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.jobs = [_elements(value) for value in field.values]

    @cached_property
    def inner(self) -> dict[str, Field]:
        """The fields of the elements of all jobs."""
        elements = [element for job in self.jobs for element in job]
        names = dict.fromkeys(name for element in elements for name in element)
        return {name: Field(name, [element.get(name) for element in elements]) for name in names}

    def link(self, name: str, states: Sequence[Any], place: int = -1) -> float:
        """Return the share of jobs in which an element has the job's state.

        Args:
            name: the field of the element.
            states: the state of each job.
            place: the element that is compared: the last, or 0 for the first.
        """
        return share(
            job[place].get(name) == state
            for job, state in zip(self.jobs, states, strict=True)
            if job and isinstance(state, str)
        )

    def links(self, states: Sequence[Any]) -> float:
        """Return the link of the best field of the elements."""
        return max((self.link(name, states) for name in self.inner), default=0.0)

    def ascending(self, name: str) -> float:
        """Return the share of jobs whose elements are in the order of their times."""
        times = [[seconds_of(element.get(name)) for element in job] for job in self.jobs]
        known = [[time for time in job if time is not None] for job in times]
        return share(job == sorted(job) for job in known if len(job) > 1)

    def times(self, name: str) -> list[list[float]]:
        """Return the known times of each job's elements, in Unix seconds."""
        return [
            [time for element in job if (time := seconds_of(element.get(name))) is not None]
            for job in self.jobs
        ]

    def states(self, states: Sequence[Any]) -> list[Candidate]:
        """Return the fields of an element that may be its state."""
        candidates = []
        for name, field in self.inner.items():
            link = self.link(name, states)
            alike = likeness(name, ELEMENT_STATE)
            if not field.mostly("string") or (link < MOST and alike < 2):
                continue
            evidence = f"equals the job's state in the last entry of {percent(link)} of the jobs"
            problem = "" if link >= MOST else f"{evidence} only"
            candidates.append(
                self._candidate("transition_state", field, 4 + alike, evidence, problem)
            )
        return candidates

    def dates(self) -> list[Candidate]:
        """Return the fields of an element that may be its time."""
        candidates = []
        for name, field in self.inner.items():
            if field.mostly("date"):
                in_order = self.ascending(name) >= MOST
                evidence = "a date" + (", in order" if in_order else "")
                score = 1 + likeness(name, ELEMENT_TIME) + 2 * in_order
                candidates.append(self._candidate("transition_time", field, score, evidence))
        return candidates

    def identities(self) -> list[Candidate]:
        """Return the texts that differ in each element; only a usual name is evidence enough."""
        candidates = []
        for name, field in self.inner.items():
            texts = [value for value in field.values if isinstance(value, str) and is_short(value)]
            distinct = len(set(texts)) == len(texts) > 1
            alike = likeness(name, ELEMENT_ID)
            if field.mostly("string") and distinct:
                score = alike if alike > 1 else 0
                evidence = "a text, different in each entry"
                candidates.append(self._candidate("transition_trans_id", field, score, evidence))
        return candidates

    def time(self) -> Choice:
        """Choose the time of an element."""
        return choose(self.dates())

    def _candidate(
        self, setting: str, field: Field, score: float, evidence: str, problem: str = ""
    ) -> Candidate:
        path = f"{self.field.name}[].{field.name}"
        problem = problem or name_problem(field.name)
        return Candidate(setting, path, field.seen, field.of, field.types, score, evidence, problem)


def arrays_of_documents(fields: Mapping[str, Field]) -> list[ArrayOfDocuments]:
    """Return the fields that contain arrays of documents, and nothing else, in most jobs."""
    return [ArrayOfDocuments(field) for field in fields.values() if _is_array_of_documents(field)]


def _is_array_of_documents(field: Field) -> bool:
    arrays = [value for value in field.values if isinstance(value, list)]
    elements = [element for array in arrays for element in array if element is not None]
    documents = share(isinstance(element, dict) for element in elements)
    return len(arrays) >= MOST * field.seen and documents >= MOST


def _elements(value: Any) -> list[Element]:
    elements = value if isinstance(value, list) else []
    return [element for element in elements if isinstance(element, dict)]
