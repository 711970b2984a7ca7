"""``ce_sequence``: the number of a transition, the same wherever it is read."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.profile import PROFILES
from bridge.model.transition import BEFORE_FIRST, Transition, next_sequence
from bridge.mongo.job_documents import JobDocuments
from tests.support.array_writes import CURRENT
from tests.support.decoding import FakeLookup, decoder
from tests.support.factories import Raw, inserted, shaped
from tests.support.job_writer import Document
from tests.support.service_history import (
    APPEND,
    KINDS,
    PAUSES,
    RECOVER,
    Items,
    ServiceHistory,
    latest_state,
    sequences,
)

#: No consumer that reads JSON numbers as doubles loses a digit below this.
EXACT = 2**53
#: The largest index that a history can have in a document of 16 MB.
LARGEST_INDEX = 10**6
#: Milliseconds of dates up to the year 2200.
MILLISECONDS = st.integers(0, 7_258_118_400_000)
WRITES = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(PAUSES)), max_size=12)


def read(document: Document) -> Items:
    """The history as a recovery reads it, with dates as the driver decodes them."""
    naive = {
        name: [*map(_naive, value)] if isinstance(value, list) else value
        for name, value in document.items()
    }
    return JobDocuments(PROFILES["cts"]).history(naive).items


def shaped_element(element: Document) -> Raw:
    whole = {
        "s": element["state"],
        "d": element["time"].replace(tzinfo=None),
        "i": element.get("trans_id"),
    }
    return {name: value for name, value in whole.items() if value is not None}


@given(st.lists(MILLISECONDS, max_size=50))
def test_sequences_grow_whatever_the_clocks_show(times: list[int]) -> None:
    numbers = [BEFORE_FIRST]
    for milliseconds in times:
        numbers.append(next_sequence(numbers[-1], milliseconds))

    assert all(before < after for before, after in pairwise(numbers))
    assert all(number < EXACT for number in numbers)
    assert all(n >= time * 1000 for n, time in zip(numbers[1:], times, strict=True))


@given(st.integers(1_600_000_000_000, 7_258_118_400_000))
def test_sequences_exceed_the_former_indexes(milliseconds: int) -> None:
    assert next_sequence(BEFORE_FIRST, milliseconds) > LARGEST_INDEX


@given(WRITES, st.booleans(), st.randoms(use_true_random=False))
def test_every_reading_gives_the_same_numbers(
    writes: list[tuple[str, int]], identified: bool, random: Random
) -> None:
    """The document after each write, read any number of times and in any order."""
    job = ServiceHistory(identified=identified)
    job.write(APPEND, 0)
    readings = [read(job.document)]
    for write in writes:
        job.write(*write)
        readings.append(read(job.document))
    messages = [item for reading in readings for item in reading]
    random.shuffle(messages)

    numbers = sequences(messages)
    assert len(numbers) == job.count
    assert all(len(different) == 1 for different in numbers.values())
    assert len({next(iter(number)) for number in numbers.values()}) == job.count
    assert latest_state(messages) == job.state


@given(WRITES, st.integers(0, 12), st.booleans(), st.booleans())
def test_the_stream_gives_the_documents_numbers(
    writes: list[tuple[str, int]], skipped: int, identified: bool, one_by_one: bool
) -> None:
    """Appends are decoded with an empty cache or after the insert, in batches of any size.

    The document that is looked up may have grown meanwhile.
    """
    job = ServiceHistory(identified=identified)
    job.write(APPEND, 0)
    events = [inserted(1, shaped_element(job.current[0]), key="job", job_id="job")]
    for kind, pause in writes:
        job.write(APPEND if kind == RECOVER else kind, pause)
        path = {"k": f"{CURRENT}.{len(job.current) - 1}"}
        change = {**path, **shaped_element(job.current[-1])}
        events.append(shaped(len(events) + 1, "update", key="job", t=[change]))
    naive = {**job.document, CURRENT: [_naive(element) for element in job.current]}
    stream = decoder(FakeLookup([("job", naive)]))
    rest = events[skipped:]
    batches = [[event] for event in rest] if one_by_one else [rest]
    items = [item for raws in batches for event in stream.decode(raws) for item in event.items]

    assert items == list(read(job.document))[skipped:]
    assert all(isinstance(item, Transition) for item in items)


def _naive(element: Document) -> Document:
    return {**element, "time": element["time"].replace(tzinfo=None)}
