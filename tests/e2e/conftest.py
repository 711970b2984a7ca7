"""Settings, bridges, jobs and fault scenarios, each with names of its own on shared servers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from pymongo import MongoClient

from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, EndedCommand, GivenSettings, by_name, run_command
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    DeliveryCase,
)
from tests.support.fault_scenario import FaultScenario, Setting
from tests.support.job_writer import JobWriter
from tests.support.long_faults import REPEATS
from tests.support.servers.kafka import Kafka, required
from tests.support.servers.mongo import Client, MongoDeployment
from tests.support.small_oplog import FLUSHED_OFTEN, OPLOG_MEGABYTES
from tests.support.state_topic import create_state_topic
from tests.support.sweeps import TAG

#: Users of the locked broker; a user's password is the name followed by the secret.
USERS = ("whole", "plain", "mute", "keeper", "stateless", "groupless", "untransacted")

MakeBridge = Callable[..., BridgeProcess]
RunRefused = Callable[[GivenSettings], EndedCommand]
NewTopic = Callable[[], str]


class StartMongo(Protocol):
    def __call__(
        self, *, arguments: Sequence[str] = (), oplog_megabytes: int = 256
    ) -> MongoDeployment: ...


class MakeScenario(Protocol):
    def __call__(
        self, mongo: MongoDeployment, case: DeliveryCase | None = None
    ) -> FaultScenario: ...


@pytest.fixture
def settings(mongo: MongoDeployment, kafka: Kafka, database: str, topic: str) -> dict[str, str]:
    """Settings of a bridge with names of its own on the shared servers."""
    return {
        "mongo.uri": mongo.uri,
        "mongo.database": database,
        "kafka.bootstrap_servers": kafka.bootstrap,
        "kafka.topic": topic,
        "checkpoint.name": database,
        "http.port": "0",
        "log.format": "json",
    }


@pytest.fixture(params=["mongo", "file", "kafka"])
def each_store(
    request: pytest.FixtureRequest,
    settings: dict[str, str],
    kafka: Kafka,
    topic: str,
    tmp_path: Path,
) -> dict[str, str]:
    """The settings with each store."""
    if request.param == "kafka":
        kafka.create_topic(f"{topic}-bridge-state", partitions=1, cleanup_policy="compact")
    return {
        **settings,
        "checkpoint.store": request.param,
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }


@pytest.fixture
def by_job(settings: dict[str, str]) -> dict[str, str]:
    """Settings of a mode that tags jobs."""
    return {**settings, "delivery.mode": "background-jobs", "sweep.job_tag": TAG}


@pytest.fixture
def by_transition(settings: dict[str, str]) -> dict[str, str]:
    """Settings of a mode that tags transitions."""
    return {**settings, "delivery.mode": "background-transitions"}


@pytest.fixture(scope="session")
def client(mongo: MongoDeployment) -> Iterator[Client]:
    with MongoClient[Any](mongo.uri) as client:
        yield client


@pytest.fixture
def jobs(client: Client, database: str) -> JobWriter:
    """A writer of the jobs collection, which exists and is empty."""
    client[database].create_collection("jobs")
    client[database]["jobs"].create_index("_update_time")
    return JobWriter(client[database]["jobs"])


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> MakeBridge:
    """Makes a bridge with some settings changed; enter it to run it."""
    log_file = tmp_path / "bridge.log"
    return lambda **changed: BridgeProcess({**settings, **by_name(changed)}, log_file)


@pytest.fixture
def refused(settings: dict[str, str], kafka: Kafka, topic: str) -> RunRefused:
    """Runs a bridge that must end by itself without sending anything."""

    def run(changed: GivenSettings) -> EndedCommand:
        ended = run_command("run", settings={**settings, **changed})
        assert kafka.read(topic) == [] == kafka.read(f"{topic}-dlq")
        return ended

    return run


@pytest.fixture(scope="session")
def locked_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Kafka whose users may do only what is granted; ``granted`` and ``granted-dlq`` exist."""
    required()
    users = {"admin": "admin", **{name: f"{name}-{SECRET}" for name in USERS}}
    with Kafka(tmp_path_factory.mktemp("locked-kafka"), users=users) as server:
        server.create_topic("granted", partitions=3)
        server.create_topic("granted-dlq", partitions=1)
        yield server


@pytest.fixture(scope="session")
def locked_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    """A replica set of one node with access control."""
    with MongoDeployment(tmp_path_factory.mktemp("locked-mongod"), auth=True) as server:
        yield server


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    """A mongod that belongs to no replica set."""
    with MongoDeployment(tmp_path_factory.mktemp("standalone"), replica_set=None) as server:
        yield server


@pytest.fixture(scope="session")
def kills() -> int:
    """How often each fault that depends on chance is repeated."""
    return REPEATS


@pytest.fixture
def new_topic(kafka: Kafka) -> NewTopic:
    """Creates topics whose timestamps are those of appending, each with a dead-letter topic."""

    def create() -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        kafka.create_topic(name, partitions=3, message_timestamp_type="LogAppendTime")
        kafka.create_topic(f"{name}-dlq", partitions=1)
        return name

    return create


@pytest.fixture(params=[AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA], ids=str)
def delivery_case(request: pytest.FixtureRequest) -> DeliveryCase:
    """At least once, with each driver; marks such as ``EVERY_DELIVERY`` choose other cases."""
    assert isinstance(request.param, DeliveryCase)
    return request.param


@pytest.fixture
def start_mongo(tmp_path: Path) -> Iterator[StartMongo]:
    """Starts a node of the test's own, which ends after every scenario on it.

    The clients of a scenario look for their server when they are closed, for up to 30 s.
    """
    with ExitStack() as stack:

        def start(**options: Any) -> MongoDeployment:
            return stack.enter_context(MongoDeployment(tmp_path / "mongod", **options))

        yield start


@pytest.fixture
def make_scenario(
    start_mongo: StartMongo,  # before the scenarios, so that it ends after them
    kafka: Kafka,
    new_topic: NewTopic,
    delivery_case: DeliveryCase,
    tmp_path: Path,
) -> Iterator[MakeScenario]:
    """Makes scenarios with names of their own, on any MongoDB."""
    with ExitStack() as stack:

        def make(mongo: MongoDeployment, case: DeliveryCase | None = None) -> FaultScenario:
            topic = new_topic()
            if (case or delivery_case).store == "kafka":
                create_state_topic(kafka, topic)
            folder = tmp_path / topic
            folder.mkdir()
            setting = Setting(mongo, kafka, f"database-{topic}", topic, folder)
            return stack.enter_context(FaultScenario(setting, case or delivery_case))

        yield make


@pytest.fixture
def forgetful(start_mongo: StartMongo) -> MongoDeployment:
    """A node of the test's own with a small oplog, of which it keeps little more than it needs."""
    return start_mongo(oplog_megabytes=OPLOG_MEGABYTES, arguments=FLUSHED_OFTEN)


@pytest.fixture
def scenario(make_scenario: MakeScenario, mongo: MongoDeployment) -> FaultScenario:
    """A scenario on the shared single node."""
    return make_scenario(mongo)
