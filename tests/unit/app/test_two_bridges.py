"""Two bridges in one process share nothing that either of them changes."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import is_dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from bridge.app.bridge import Bridge
from bridge.app.lifecycle import State
from bridge.clock import SystemClock
from bridge.logs import Repeated
from bridge.observability.counters import Counters
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.stall_warning import StallWarning
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.factories import settings

CONTAINERS = (dict, list, set, deque)


def is_mutable(value: object) -> bool:
    """Return whether a bridge could change ``value`` for another bridge."""
    if isinstance(value, (*CONTAINERS, threading.Event, Executor, Counters)):
        return True
    kind = type(value)
    frozen = is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return is_ours(kind) and not frozen and not issubclass(kind, tuple | str)


def is_ours(kind: type) -> bool:
    return kind.__module__.startswith("bridge.")


def parts_of(value: object) -> Iterator[tuple[str, object]]:
    """Yield the attributes or items of ``value``."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | set | deque | tuple):
        yield from ((f"[{number}]", item) for number, item in enumerate(value))
    elif is_ours(type(value)):
        names = [*vars(value)] if hasattr(value, "__dict__") else []
        names += [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        yield from ((f".{name}", getattr(value, name)) for name in names)
    elif (function := getattr(value, "__func__", None)) is not None:
        yield ".__self__", getattr(value, "__self__", function)


def reachable(root: object) -> dict[int, tuple[str, object]]:
    """Return every object below ``root`` by its id, with the way to it."""
    found: dict[int, tuple[str, object]] = {}
    waiting: list[tuple[str, object]] = [("bridge", root)]
    while waiting:
        way, value = waiting.pop()
        if id(value) in found or isinstance(value, type | logging.Logger | BaseModel):
            continue  # Settings are frozen.
        found[id(value)] = way, value
        waiting += [(way + step, part) for step, part in parts_of(value)]
    return found


def close(bridge: Bridge) -> None:
    """End a bridge that did not run."""
    bridge.request_stop()
    bridge.run()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delivery__mode": "fire-and-forget"},
        {"delivery__mode": "synchronous"},
        {"delivery__mode": "background-transitions", "sweep__transition_tag": "unsent"},
    ],
    ids=["at-least-once", "fire-and-forget", "synchronous", "background"],
)
def test_two_bridges_share_no_mutable_object(options: dict[str, Any]) -> None:
    """PyMongo connects lazily, so that no server is needed."""
    bridges = [Bridge(settings(http__port=0, **options), SystemClock()) for _ in range(2)]
    first, second = map(reachable, bridges)

    shared = {first[key][0] for key in first.keys() & second.keys() if is_mutable(first[key][1])}

    for bridge in bridges:
        close(bridge)
    assert shared == set()


def test_each_bridge_owns_its_parts() -> None:
    """The comparison above must see these; else it would prove nothing."""
    bridge = Bridge(settings(http__port=0), SystemClock())
    kinds = {type(value) for _, value in reachable(bridge).values()}

    close(bridge)
    assert {Counters, Pulse, Repeated, StallWarning, threading.Event} <= kinds
    assert bridge.state is State.STOPPED


def test_a_stop_of_one_bridge_leaves_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    first = BridgeOnFakes(monkeypatch)
    first.store_checkpoint()
    second = BridgeOnFakes(monkeypatch)
    second.store_checkpoint()
    for world in (first, second):
        world.log.append()

    first.run(first.acknowledge)
    second.run(second.acknowledge)

    assert first.bridge.counters.acked == second.bridge.counters.acked == 1
    assert second.trans_ids() == ["job-0/1"]


def test_repeated_failures_of_two_bridges_are_all_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bridge")
    for repeated in (Repeated(logger), Repeated(logger)):
        repeated.failed(0.0, "the broker is unreachable")
        repeated.failed(1.0, "the broker is unreachable")

    assert caplog.messages == ["the broker is unreachable"] * 2


def test_no_class_has_mutable_attributes() -> None:
    """An attribute of a class would be shared by all bridges of a process."""
    bridge = Bridge(settings(http__port=0), SystemClock())
    kinds = {type(value) for _, value in reachable(bridge).values() if is_ours(type(value))}
    close(bridge)

    shared = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        if not issubclass(kind, tuple | str)
        for name, value in vars(kind).items()
        if isinstance(value, CONTAINERS) and not name.startswith("_")
    ]
    assert shared == []
