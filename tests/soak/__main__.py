"""An hour of random faults: ``python -m tests.soak --minutes 60``.

Three lanes read one collection, each into a topic of its own:

- ``killed``: an owner and its standby, which are killed, frozen and stopped; each life has the
  other driver.
- ``kafka-python``, ``librdkafka``: a process that is never ended, so that its memory, threads and
  descriptors can be compared over the whole run.

All use TLS and passwords, with only the rights of the scripts in ``config``. Servers and networks
fail for all lanes at once. A line a minute; at the end the jobs are compared with each topic.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from kafka.admin import ResourceType
from pymongo import MongoClient

from tests.soak.lane import DRIVERS, Lane
from tests.soak.security import bridge_settings, kafka_tls
from tests.soak.verdict import growth, has_grown, judge_lane
from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET
from tests.support.granted_rights import grants, roles
from tests.support.load import Load
from tests.support.servers.certificates import Certificates
from tests.support.servers.kafka import Kafka
from tests.support.servers.proxy import TcpProxy
from tests.support.servers.secured import SecuredMongo
from tests.support.simulator import Workload
from tests.support.topic_contents import stored_messages

DATABASE = "cdmtaskservice"
#: A bridge that is not ready this long after a fault has not recovered.
RECOVERY_SECONDS = 180.0
#: Exit codes of a stop, SIGKILL, a temporary failure, and a lost ownership.
EXPECTED_EXITS = {0, -9, 75, 76}


class Soak:
    """The servers, the lanes, and the faults."""

    def __init__(self, stack: ExitStack, folder: Path, rate: float) -> None:
        certificates = self.certificates = Certificates(folder / "certificates", "server")
        self.mongo = stack.enter_context(SecuredMongo(folder / "mongod", certificates))
        users, tls = {"admin": "admin", "bridge": SECRET}, kafka_tls(certificates)
        self.kafka = stack.enter_context(Kafka(folder / "kafka", users=users, properties=tls))
        self.mongo_proxy = stack.enter_context(TcpProxy(self.mongo.ports[0]))
        self.kafka_proxy = stack.enter_context(self.kafka.proxy())
        self._grant()
        self.lanes = [self._lane(name, folder) for name in ("killed", *DRIVERS)]
        for lane in self.lanes:
            for bridge in lane.bridges:
                stack.callback(bridge.close)
                lane.start(bridge)
        self.recover()
        load = Workload(rate=rate, concurrency=16, error_share=0.4, writes="both")
        self.load = stack.enter_context(Load(self.mongo.root_uri, DATABASE, load))
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []

    def _grant(self) -> None:
        names = ("jobBridge", "jobBridgeMonitor")
        privileges = [privilege for name in names for privilege in roles()[name]["privileges"]]
        with MongoClient[dict[str, object]](self.mongo.root_uri) as client:
            client.admin.command("createRole", "bridge", privileges=privileges, roles=[])
            client.admin.command("createUser", "bridge", pwd=SECRET, roles=["bridge"])
            client[DATABASE].create_collection("jobs")
            client[DATABASE]["jobs"].create_index("_update_time")

    def _lane(self, name: str, folder: Path) -> Lane:
        topic = f"soak-{name}"
        self.kafka.create_topic(topic, message_timestamp_type="LogAppendTime")
        self.kafka.create_topic(f"{topic}-dlq", partitions=1)
        for pattern, operations in grants():
            granted = pattern.replace("$TOPIC", topic)
            self.kafka.allow("bridge", ResourceType.TOPIC, granted, *operations)
        settings = bridge_settings(
            self.mongo_proxy.address, self.kafka_proxy.address, self.certificates.authority
        )
        settings |= {"kafka.topic": topic, "checkpoint.name": topic}
        settings["kafka.driver"] = name if name in DRIVERS else "auto"
        count = 1 if name in DRIVERS else 2
        logs = [folder / f"{name}-{number}.log" for number in range(count)]
        return Lane(name, topic, [BridgeProcess(settings, log) for log in logs])

    def tend(self) -> None:
        for lane in self.lanes:
            lane.tend()

    def recover(self) -> None:
        """Wait until each lane has a ready bridge."""
        end = time.monotonic() + RECOVERY_SECONDS
        while any(lane.active() is None for lane in self.lanes):
            if time.monotonic() > end:
                unwell = [lane for lane in self.lanes if lane.active() is None]
                reasons = [f"{lane.name}: {lane.bridges[0].readiness()}" for lane in unwell]
                raise RuntimeError(f"not ready after {RECOVERY_SECONDS:g} s: {reasons}")
            self.tend()
            time.sleep(0.5)

    def wait(self, least: float, most: float) -> None:
        """Let a fault last, while a supervisor restarts what ends."""
        end = time.monotonic() + random.uniform(least, most)
        while time.monotonic() < end:
            self.tend()
            time.sleep(0.5)

    def fault(self) -> str:
        """Cause one fault and end it; returns its name."""
        causes: Sequence[Callable[[], object]] = (
            *(3 * [self.sigkill]),
            self.sigstop,
            self.sigterm,
            self.kafka_down,
            self.kafka_frozen,
            self.mongodb_down,
            self.mongodb_frozen,
            self.network_cut,
            self.network_silent,
            self.answers_withheld,
            self.checkpoint_dropped,
        )
        cause = random.choice(causes)
        name = getattr(cause, "__name__", "")
        self.faults[name] += 1
        for lane in self.lanes:
            lane.sample()
        cause()
        for proxy in (self.kafka_proxy, self.mongo_proxy):
            proxy.pass_through()
        return name

    def sigkill(self) -> None:
        if bridge := self.lanes[0].active():
            bridge.kill()

    def sigstop(self) -> None:
        if bridge := self.lanes[0].active():
            bridge.pause()
            time.sleep(random.uniform(2, 20))
            bridge.resume()

    def sigterm(self) -> None:
        if bridge := self.lanes[0].active():
            bridge.send_signal(signal.SIGTERM)
            bridge.wait()

    def kafka_down(self) -> None:
        self.kafka.kill()
        self.wait(1, 20)
        self.kafka.start()

    def kafka_frozen(self) -> None:
        self.kafka.pause()
        self.wait(1, 30)
        self.kafka.resume()

    def mongodb_down(self) -> None:
        self.mongo.kill()
        self.wait(1, 15)
        self.mongo.start_node()

    def mongodb_frozen(self) -> None:
        self.mongo.pause()
        self.wait(1, 20)
        self.mongo.resume()

    def network_cut(self) -> None:
        for proxy in (self.kafka_proxy, self.mongo_proxy):
            proxy.refuse()
            proxy.reset()
        self.wait(0, 20)

    def network_silent(self) -> None:
        random.choice((self.kafka_proxy, self.mongo_proxy)).silence()
        self.wait(1, 30)

    def answers_withheld(self) -> None:
        """The producers of impatient lives fail after their messages were appended."""
        self.kafka_proxy.withhold_answers()
        self.wait(8, 15)
        self.kafka_proxy.reset()

    def checkpoint_dropped(self) -> None:
        """A living owner stores it again from memory.

        Not in the first lane: a bridge that starts at that moment finds no owner, becomes the
        owner and ends with 83, because the topic has its messages and a human must decide.
        """
        names = [lane.topic for lane in self.lanes[1:]]
        with MongoClient[dict[str, object]](self.mongo.root_uri) as client:
            checkpoints = client["job_bridge"]["job_bridge_checkpoints"]
            checkpoints.delete_many({"_id": {"$in": names}})
            end = time.monotonic() + 30
            while checkpoints.count_documents({"token": {"$exists": True}}) < len(self.lanes):
                if time.monotonic() > end:
                    self.problems.append("a dropped checkpoint was not stored again")
                    return
                time.sleep(0.2)

    def line(self, fault: str) -> str:
        """The state of the run in one line."""
        latest = [lane.samples[-1] if lane.samples else {} for lane in self.lanes]
        held = ", ".join(
            f"{lane.name} {sample.get('MB', 0):.0f} MB {sample.get('threads', 0):.0f} threads "
            f"{sample.get('descriptors', 0):.0f} fds"
            for lane, sample in zip(self.lanes, latest, strict=True)
        )
        left_out = sum(sum(lane.left_out.values()) for lane in self.lanes)
        return (
            f"{time.strftime('%H:%M:%S')} {len(self.load.commits)} committed, last fault {fault}, "
            f"{sum(self.faults.values())} faults, {left_out:.0f} left out; {held}"
        )

    def run(self, minutes: float) -> None:
        """Cause faults until the time is over."""
        end, spoken, fault = time.monotonic() + 60 * minutes, time.monotonic(), "none"
        while time.monotonic() < end:
            fault = self.fault()
            self.recover()
            self.wait(2, 12)
            if time.monotonic() - spoken >= 60:
                spoken = time.monotonic()
                print(self.line(fault), flush=True)

    def judge(self) -> bool:
        """Let everything arrive, stop, compare, and print the table; True if all is well."""
        self.load.stop()
        jobs = stored_messages(self.mongo.root_uri, DATABASE)
        well = not self.problems
        for lane in self.lanes:
            lane.sample()
            arrived = self._arrived(lane, sum(map(len, jobs.values())))
            lane.count_late()
            codes = [bridge.stop() for bridge in lane.bridges if bridge.running]
            verdict = judge_lane(jobs, self.kafka.read(lane.topic), lane.bridges)
            medians = growth(lane.samples)
            grown = has_grown(medians) if lane.name in DRIVERS else []
            strange = set(lane.exits) - EXPECTED_EXITS or set(codes) - {0}
            print(
                f"{lane.name:13} {verdict.committed} committed, {len(verdict.lost)} lost, "
                f"{len(verdict.reordered)} out of order, {len(verdict.repeated)} repeated, "
                f"{len(verdict.late)} appended after the read-back, "
                f"{sum(lane.left_out.values()):.0f} left out; {lane.lives} lives, "
                f"exits {dict(lane.exits)}; {lane.counted_twice}"
                + ", ".join(f"{n} {a:.0f} -> {b:.0f}" for n, (a, b) in medians.items())
            )
            faults = [*verdict.lost, *verdict.reordered, *verdict.repeated]
            for example in [*faults[:10], *verdict.late[:5], *grown]:
                print(f"    {example}")
            well = well and arrived and not (faults or grown or strange)
        print("faults:", dict(self.faults), *self.problems)
        return well

    def _arrived(self, lane: Lane, count: int) -> bool:
        """Wait until the lane's topic has at least ``count`` messages and grows no more."""
        end, before = time.monotonic() + RECOVERY_SECONDS, -1
        while time.monotonic() < end:
            there = len(self.kafka.read(lane.topic))
            if there >= count and there == before:
                return True
            before = there
            self.wait(2, 2)
        return False


@click.command()
@click.option("--minutes", type=float, default=60.0, show_default=True)
@click.option("--rate", type=float, default=60.0, show_default=True, help="Transitions a second.")
@click.option("--seed", type=int, help="Of the choice of faults; random if left out.")
def main(minutes: float, rate: float, seed: int | None) -> None:
    """Run the soak; exit code 1 if anything was lost, out of order, repeated, or has grown."""
    seed = random.randrange(10**6) if seed is None else seed
    random.seed(seed)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"seed {seed}, logs in {folder}, {minutes:g} minutes", flush=True)
    with ExitStack() as stack:
        soak = Soak(stack, folder, rate)
        soak.run(minutes)
        well = soak.judge()
    sys.exit(not well)


if __name__ == "__main__":
    main()
