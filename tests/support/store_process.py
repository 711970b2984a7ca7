"""A store in Kafka in a process of its own, which does what its parent writes to it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from bridge.errors import BridgeError
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from tests.support.factories import checkpoint, settings

#: Generous: only a process that hangs reaches it.
ANSWER_SECONDS = 60.0


class StoreProcess:
    """The parent's side; ``answer`` is ``ok``, or an error's class and text."""

    def __init__(self, topic: str, bootstrap: str, **others: str) -> None:
        arguments = json.dumps(
            {
                "kafka__bootstrap_servers": bootstrap,
                "kafka__topic": topic,
                "checkpoint__store": "kafka",
                "checkpoint__name": "bridge",
                **others,
            }
        )
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.support.store_process", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self.answer() == "ready"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str) -> str:
        """Let the process do ``command``, and wait for its answer."""
        self.tell(command)
        return self.answer()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        assert readable, "the process does not answer"
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _do(store: KafkaCheckpointStore, command: str, number: str = "0") -> str:
    try:
        if command == "acquire":
            while store.acquire():
                time.sleep(0.02)
        elif command == "save":
            store.save(checkpoint(int(number), sequence=int(number)))
        elif command == "renew":
            for _ in range(int(number) or 1):
                store.renew()
                time.sleep(0.25)
        else:
            store.release()
    except BridgeError as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def main() -> None:
    given = settings(**json.loads(sys.argv[1]))
    store = KafkaCheckpointStore(given, f"{given.kafka.topic}-dlq")
    print("ready", flush=True)
    for line in sys.stdin:
        print(_do(store, *line.split()), flush=True)


if __name__ == "__main__":
    main()
