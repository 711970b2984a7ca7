"""A client that the garbage collector finds on the client's own thread does not end the process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip("confluent_kafka")

#: The future of a request ends on the client's thread, where the garbage is collected.
_PROGRAM = """
import gc, threading, weakref
from confluent_kafka import TopicCollection
from {module} import AdminClient

class Cycle:
    def __init__(self):
        self.client = AdminClient({{"bootstrap.servers": "127.0.0.1:1", "log_level": 0}})
        self.itself = self

def collect(future):
    gc.collect()
    collectors.append(threading.get_ident())
    collected.set()

collectors, collected = [], threading.Event()
gc.disable()
cycle = Cycle()
garbage = weakref.ref(cycle)
futures = cycle.client.describe_topics(TopicCollection(["jobs"]), request_timeout=0.2)
futures["jobs"].add_done_callback(collect)
del cycle
assert collected.wait(30), "the request has not ended"
assert collectors != [threading.get_ident()], "the request ended on this thread"
assert garbage() is None, "the client was not garbage"
print("collected", flush=True)
"""


def run(module: str) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(module=module)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_collected_clients_are_destroyed_elsewhere() -> None:
    ended = run("bridge.kafka.librdkafka.admin_client")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "collected\n"


def test_librdkafka_aborts_without_this_protection() -> None:
    """When it does not any more, ``AdminClient`` of the bridge has lost its reason."""
    ended = run("confluent_kafka.admin")

    assert ended.returncode == -signal.SIGABRT
    assert "rd_kafka_destroy" in ended.stderr
