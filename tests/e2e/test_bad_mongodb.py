"""MongoDB is unreachable, misconfigured, or not a replica set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeBridge
from tests.support.command import SECRET, EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment
from tests.support.servers.proxy import TcpProxy

Refused = Callable[[GivenSettings], EndedCommand]
HOW_TO_MAKE_A_SET = "start mongod with --replSet rs0 and run rs.initiate() once"


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    with MongoDeployment(tmp_path_factory.mktemp("standalone"), replica_set=None) as server:
        yield server


def test_a_standalone_is_refused_with_advice(standalone: MongoDeployment, refused: Refused) -> None:
    ended = refused({"mongo.uri": standalone.uri})

    assert ended.code == 78
    assert "This mongod is a standalone, not a replica set. Nothing was read or sent" in ended.error
    assert HOW_TO_MAKE_A_SET in ended.error


def test_a_standalone_without_its_set_is_waited_for(
    standalone: MongoDeployment, start: MakeBridge
) -> None:
    """The reason explains how to make it a replica set."""
    with start(mongo__uri=f"{standalone.uri}?replicaSet=rs0") as bridge:
        reason = bridge.unready_reason(
            'No replica set members available for replica set name "rs0"'
        )

        assert "becomes a replica set with --replSet rs0 and, once, rs.initiate()" in reason


def test_an_unknown_replica_set_is_waited_for(mongo: MongoDeployment, start: MakeBridge) -> None:
    """The wait ends with a signal."""
    with start(mongo__uri=mongo.uri.replace("rs0", "rs9")) as bridge:
        reason = bridge.unready_reason("rs9")

        assert "Check replicaSet in mongo.uri" in reason
        assert bridge.stop() == 0


def test_check_tells_of_a_standalone_too(
    standalone: MongoDeployment, settings: GivenSettings
) -> None:
    ended = run_command("check", settings={**settings, "mongo.uri": standalone.uri})

    assert ended.code == 78
    line = next(line for line in ended.out.splitlines() if line.startswith("failure"))
    assert "standalone" in line and HOW_TO_MAKE_A_SET in line


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mongodb://", "Must provide at least one hostname or IP"),
        (
            f"mongodb://bridge:{SECRET}/x@localhost/",
            "mongo.uri is not a MongoDB connection string: ",
        ),
        (f"mongodb://bridge:{SECRET}@x@localhost/", "must be escaped according to RFC 3986"),
        (f"mongodb://bridge:{SECRET}:27017/", "Reserved characters such as ':' must be escaped"),
        ("mongodb://localhost:99999/", "Port must be an integer between 0 and 65535"),
        ("mongodb://localhost/?tsl=true", "Did you mean one of (tls"),
        ("mongodb://localhost/?tls=maybe", "The value of tls must be 'true' or 'false'"),
        (
            f"mongodb://localhost/?connectTimeoutMS={SECRET}",
            "connecttimeoutms must be an integer or float",
        ),
        ("mongodb://localhost/?authMechanism=NONE", "authmechanism must be in "),
        ("mongodb://localhost/?tls=true&tlsCAFile=/nowhere/ca.pem", "[Errno 2]"),
        (
            "mongodb://a,b/?directConnection=true",
            "Cannot specify multiple hosts with directConnection=true",
        ),
    ],
)
def test_a_malformed_uri_is_refused_without_showing_it(uri: str, words: str) -> None:
    ended = run_command("run", settings={"mongo.uri": uri, "http.port": "0", "log.format": "json"})

    assert ended.code == 78
    assert words in ended.error and "mongo.uri" in ended.error
    assert ". Nothing was read or sent. " in ended.error and ".." not in ended.error


@pytest.mark.parametrize("arguments", [("check",), ("tail",), ("token", "show")])
def test_other_commands_refuse_a_malformed_uri(
    arguments: tuple[str, ...], settings: GivenSettings
) -> None:
    ended = run_command(
        *arguments, settings={**settings, "mongo.uri": f"mongodb://b:{SECRET}@localhost/?tls=maybe"}
    )

    assert ended.code == 78
    assert "The value of tls must be 'true' or 'false'" in ended.out + ended.err


@pytest.mark.parametrize("arguments", [("check",), ("run",), ("token", "show")], ids=" ".join)
def test_an_unusable_srv_uri_is_refused(
    arguments: tuple[str, ...], settings: GivenSettings
) -> None:
    """PyMongo detects it later than other malformed URIs."""
    ended = run_command(
        *arguments, settings={**settings, "mongo.uri": f"mongodb+srv://b:{SECRET}@127.0.0.1/"}
    )

    assert ended.code == 78
    assert "an IP address is not a valid hostname for 'mongodb+srv://'" in ended.out + ended.err


def test_an_unreachable_mongodb_is_waited_for(
    mongo: MongoDeployment, kafka: Kafka, topic: str, jobs: JobWriter, start: MakeBridge
) -> None:
    port = free_port()
    with start(mongo__uri=f"mongodb://127.0.0.1:{port}/?directConnection=true") as bridge:
        reason = bridge.unready_reason(f"MongoDB refuses connections at 127.0.0.1:{port}")
        assert "Connection refused" in reason and "checkpoint" not in reason
        assert "Nothing is lost" in reason and "the host and port in mongo.uri" in reason
        assert bridge.get("/livez")[0] == 200
        assert bridge.status()["state"] == "waiting"

        with TcpProxy(mongo.ports[0], port=port):
            bridge.wait_ready()
            job_id = jobs.add_good()
            bridge.wait_acked(len(GOOD))
            assert bridge.stop() == 0

    assert published_states(kafka, topic, job_id) == list(GOOD)
    assert sum("MongoDB refuses connections" in line for line in bridge.messages()) == 1
    assert any("working again after" in line for line in bridge.messages())


def test_a_missing_collection_is_waited_for(
    kafka: Kafka, topic: str, database: str, client: Client, start: MakeBridge
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        bridge.wait_for_line(f"the collection {database}.jobs does not exist")
        assert sum("does not exist" in line for line in bridge.messages()) == 1

        job_id = JobWriter(client[database]["jobs"]).add_good()
        bridge.wait_acked(len(GOOD))

    assert published_states(kafka, topic, job_id) == list(GOOD)


@pytest.mark.parametrize("name", ["run", "check", "tail"])
def test_a_view_is_refused(
    name: str, settings: GivenSettings, kafka: Kafka, topic: str, database: str, client: Client
) -> None:
    client[database].create_collection("seen", viewOn="jobs", pipeline=[])

    ended = run_command(name, settings={**settings, "mongo.collection": "seen"})

    output = ended.error if name != "check" else ended.out
    assert ended.code == 78
    assert (
        f"{database}.seen is a view; change streams watch collections only. "
        "Nothing was read or sent" in output
    )
    assert "Set mongo.collection to the collection that the view reads" in output
    assert kafka.read(topic) == []


def test_a_view_in_place_is_waited_for(
    start: MakeBridge, jobs: JobWriter, database: str, client: Client
) -> None:
    """A setting that becomes wrong does not end a bridge that worked."""
    with start() as bridge:
        bridge.wait_ready()
        jobs.collection.drop()
        client[database].create_collection("jobs", viewOn="others", pipeline=[])

        bridge.wait_unready("is a view", 30)
        client[database].drop_collection("jobs")
        client[database].create_collection("jobs")
        bridge.wait_ready()
        assert bridge.stop() == 0
