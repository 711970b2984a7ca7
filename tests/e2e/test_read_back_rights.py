"""Reading the topic back without and with the right to read it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from kafka.admin import ACLOperation, ResourceType

from tests.support.command import SECRET
from tests.support.delivery_case import AT_LEAST_ONCE_LIBRDKAFKA
from tests.support.fault_scenario import FaultScenario, Setting
from tests.support.job_writer import GOOD
from tests.support.read_back import LeftOut, crash, settle
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment


@pytest.mark.parametrize("readable", [True, False], ids=["with Read", "without Read"])
def test_without_the_right_to_read_it_works_on(
    mongo: MongoDeployment, locked_kafka: Kafka, tmp_path: Path, readable: bool
) -> None:
    """A single warning says that a crash repeats messages."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    locked_kafka.create_topic(name, message_timestamp_type="LogAppendTime")
    locked_kafka.create_topic(f"{name}-dlq", partitions=1)
    needed = (ACLOperation.DESCRIBE, ACLOperation.WRITE)
    for topic in (name, f"{name}-dlq"):
        more = (ACLOperation.READ,) if readable else ()
        locked_kafka.allow("plain", ResourceType.TOPIC, topic, *needed, *more)
    user = {
        "kafka.security_protocol": "SASL_PLAINTEXT",
        "kafka.sasl_mechanism": "PLAIN",
        "kafka.sasl_username": "plain",
        "kafka.sasl_password": f"plain-{SECRET}",
    }
    setting = Setting(mongo, locked_kafka, f"database-{name}", name, tmp_path)
    left_out = LeftOut()
    with FaultScenario(setting, AT_LEAST_ONCE_LIBRDKAFKA) as scenario:
        bridge = crash(scenario, **user)
        bridge.start()

        found = settle(scenario, bridge, left_out)

        found.check(repeated_at_most=0 if readable else len(GOOD), at_least=3 * len(GOOD))
        assert found.repeated == (0 if readable else len(GOOD))
        assert left_out.total == (len(GOOD) if readable else 0)
        warnings = [
            line["message"]
            for line in bridge.lines()
            if line["level"] == "WARNING" and "read" in str(line["message"]).lower()
        ]
        assert len(warnings) == (0 if readable else 1), warnings
