"""Offsets that belong to the settled position."""

from __future__ import annotations

from bridge.model.sent import SentPositions
from bridge.model.topic_offsets import TopicOffsets
from bridge.pipeline.offset_marks import OffsetMarks
from tests.support.factories import at

TOPIC = "t-1"


class StubSink:
    """A sink with the acknowledgements that a test sets."""

    def __init__(self, topic_id: str = TOPIC) -> None:
        self.topic_id = topic_id
        self.acknowledged: dict[int, int] = {}

    def offsets(self) -> dict[int, int]:
        return dict(self.acknowledged)


class MarksScenario:
    def __init__(self, stored: TopicOffsets | None = None, topic_id: str = TOPIC) -> None:
        self.sent = SentPositions()
        self.sink = StubSink(topic_id)
        self.marks = OffsetMarks(stored, self.sent)

    def send(self, number: int) -> None:
        self.sent.highest = at(number)

    def at(self, number: int) -> dict[int, int]:
        offsets = self.marks.at(at(number))
        return dict(offsets.by_partition) if offsets else {}


def test_offsets_wait_for_the_position_of_their_mark() -> None:
    """A later message of another partition may be acknowledged before an earlier message."""
    scenario = MarksScenario()
    scenario.marks.open_session(scenario.sink)
    for number in (1, 2, 3):
        scenario.send(number)
    scenario.sink.acknowledged = {0: 1, 1: 1}  # messages 1 and 3; message 2 is in flight

    assert scenario.at(1) == {}
    assert scenario.at(2) == {}, "message 3 is in partition 1 before offset 1"

    assert scenario.at(3) == {0: 1, 1: 1}


def test_an_idle_bridge_has_the_latest_offsets() -> None:
    scenario = MarksScenario()
    scenario.marks.open_session(scenario.sink)
    scenario.send(1)
    scenario.sink.acknowledged = {2: 8}

    assert [scenario.at(5), scenario.at(6)] == [{}, {2: 8}]


def test_other_partitions_keep_their_stored_offsets() -> None:
    scenario = MarksScenario(TopicOffsets(TOPIC, {0: 5, 1: 6}))
    scenario.marks.open_session(scenario.sink)
    scenario.send(1)
    scenario.sink.acknowledged = {1: 9}
    scenario.at(1)

    assert scenario.at(2) == {0: 5, 1: 9}


def test_a_topic_created_again_has_no_offsets() -> None:
    scenario = MarksScenario(TopicOffsets("earlier", {0: 5}))

    scenario.marks.open_session(scenario.sink)

    assert scenario.at(1) == {}
    assert scenario.marks.confirmed == TopicOffsets(TOPIC, {})


def test_ends_wait_for_the_position_of_read_back() -> None:
    """The topic may have messages of all positions before the end of the read-back."""
    scenario = MarksScenario(TopicOffsets(TOPIC, {0: 5}))
    scenario.marks.open_session(scenario.sink, TopicOffsets(TOPIC, {0: 50}), at(10))
    scenario.send(9)

    assert scenario.at(9) == {0: 5}
    assert scenario.at(10) == {0: 50}


def test_offsets_wait_for_the_positions_of_others() -> None:
    """A recovery sent messages of positions that the stream has not reached yet."""
    scenario = MarksScenario()
    scenario.marks.open_session(scenario.sink, TopicOffsets(TOPIC, {0: 5}), at(3))
    scenario.send(2)
    scenario.sink.acknowledged = {0: 7}
    scenario.at(3)

    scenario.sent.others = at(9)

    assert [scenario.at(number) for number in (4, 8, 9)] == [{0: 5}, {0: 5}, {0: 7}]


def test_before_a_session_the_stored_offsets_stay() -> None:
    stored = TopicOffsets(TOPIC, {0: 5})

    assert OffsetMarks(stored, SentPositions()).at(at(3)) is stored
