"""Reading back a topic to which other producers write without a pause."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition as Partition

from bridge.kafka.kafka_python import reader as kafka_python
from bridge.kafka.librdkafka import reader as librdkafka
from tests.support.factories import settings

END = 3
CONFIG = settings(kafka__topic="jobs")


class Writer:
    """Appends a record for each read, and lets ten milliseconds pass for each look at the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        self.offsets = itertools.count()
        self.read = 0
        ticks = itertools.count()
        clock = SimpleNamespace(monotonic=lambda: next(ticks) / 100)
        monkeypatch.setattr(module, "time", clock)

    def next_offset(self) -> int:
        self.read = next(self.offsets) + 1
        assert self.read < 1000, "reading never ends"
        return self.read - 1


class LibrdkafkaConsumer:
    """A consumer of a partition that never reports its end."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(topics={"jobs": SimpleNamespace(partitions={0: None})})

    def offsets_for_times(self, asked: Any, timeout: float) -> Any:
        return [SimpleNamespace(partition=0, offset=END, error=None)]

    def assign(self, partitions: Any) -> None:
        pass

    def consume(self, count: int, timeout: float) -> Any:
        offset = self._writer.next_offset()
        values = {
            "error": None,
            "partition": 0,
            "offset": offset,
            "headers": None,
            "timestamp": (1, 0),
            "key": b"k",
            "value": b"v",
        }
        return [SimpleNamespace(**{name: lambda v=v: v for name, v in values.items()})]


class KafkaPythonConsumer:
    """The same of the other driver."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def topics(self) -> set[str]:
        return {"jobs"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def end_offsets(self, partitions: list[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, END)

    def assign(self, partitions: Any) -> None:
        pass

    def seek(self, partition: Any, offset: int) -> None:
        pass

    def position(self, partition: Any) -> int:
        return self._writer.read

    def poll(self, timeout_ms: float) -> Any:
        offset = self._writer.next_offset()
        record = SimpleNamespace(
            partition=0, offset=offset, timestamp=0, key=b"k", value=b"v", headers=()
        )
        return {Partition("jobs", 0): [record]}


@pytest.mark.parametrize("driver", ["librdkafka", "kafka-python"])
def test_reading_back_a_busy_topic_ends(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    reader: Any
    if driver == "librdkafka":
        reader = librdkafka.LibrdkafkaTailReader(CONFIG)
        reader._consumer = LibrdkafkaConsumer(Writer(monkeypatch, librdkafka))
    else:
        reader = kafka_python.TopicReader(CONFIG)
        reader._consumer = KafkaPythonConsumer(Writer(monkeypatch, kafka_python))

    offsets = [record.offset for part in reader.read_from("jobs", {0: 0}, None) for record in part]

    assert offsets[:END] == [0, 1, 2]
    assert reader.ends == {0: len(offsets)}
