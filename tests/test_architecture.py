"""The floors of the house: imports go down only, each driver has one home, and files stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "bridge"
MOST_LINES = 400
#: A loop that does not fit a screen is no longer read as a whole.
MOST_LOOP_LINES = 24

#: From the top down. A module may import what stands below its own floor; rooms of one floor do not know each other.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("demo",),
    ("preflight",),
    ("service",),
    ("begin", "modes", "notifier", "verifying", "waiting"),
    ("parts",),
    ("pipeline",),
    ("source", "sink", "checkpoint", "coordination", "web"),
    ("model",),
    ("config", "metrics", "logs", "signals", "clock"),
    ("errors",),
    ("",),  # the package itself: its version
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
#: The pipeline knows protocols, not drivers; the demonstration is started by its command only.
FORBIDDEN = {
    "pipeline": ("source", "sink", "checkpoint", "coordination", "web"),
}
ONLY_FROM = {"demo": ("demo", "cli.demo")}
#: What the package itself gives to others, and loads only when it is asked for.
PUBLIC = ("notifier", "errors")
#: Where a library may be imported, by module or by room.
HOMES = {
    "pymongo": ("source", "checkpoint.mongo", "demo"),
    "bson": ("source", "checkpoint.mongo", "demo"),
    "motor": ("demo",),
    "kafka": ("sink", "checkpoint.kafka", "coordination", "demo"),
    "confluent_kafka": ("sink",),
    "click": ("cli", "demo.simulator", "demo.play"),
    "prometheus_client": ("metrics", "web"),
    "waitress": ("web",),
    "pydantic": ("config", "verifying"),
    "pydantic_settings": ("config",),
    "pythonjsonlogger": ("logs",),
}

Modules = dict[str, str]


def modules(root: Path = ROOT / PACKAGE) -> Modules:
    """The source of every module, by its name below the package."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def room(module: str) -> str:
    return module.partition(".")[0]


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Every module a source imports, wherever in it, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def named(target: str, known: Modules) -> str | None:
    """The module of the house that an import means; None for one from outside."""
    outer, _, inner = target.partition(".")
    if outer != PACKAGE:
        return None
    while inner and inner not in known:
        inner = inner.rpartition(".")[0]
    return inner


def inside(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def wrong_imports(known: Modules) -> list[str]:
    """Every import that goes up, sideways, past its home, or is relative."""
    found = []
    for module, source in known.items():
        for line, target in imported(source):
            reason = _wrong(module, target, known)
            if reason:
                found.append(f"{module}:{line} imports {target}: {reason}")
    return found


def _wrong(module: str, target: str, known: Modules) -> str:
    if target.startswith("."):
        return "imports are absolute"
    home = named(target, known)
    if not module and home in PUBLIC:
        return ""
    if home is None:
        homes = HOMES.get(room(target))
        return (
            f"only {', '.join(homes)} may"
            if homes is not None and not inside(module, homes)
            else ""
        )
    if room(module) not in LEVEL or room(home) not in LEVEL:
        return "a room without a floor"
    if room(home) in ONLY_FROM and not inside(module, ONLY_FROM[room(home)]):
        return f"only {', '.join(ONLY_FROM[room(home)])} may"
    if room(home) in FORBIDDEN.get(room(module), ()):
        return "the pipeline knows protocols only"
    if room(home) == room(module) or LEVEL[room(home)] > LEVEL[room(module)]:
        return ""
    return "it is not below"


def too_long(known: Modules, most: int = MOST_LINES) -> list[str]:
    lengths = {module: len(source.splitlines()) for module, source in known.items()}
    return [f"{module} has {length} lines" for module, length in lengths.items() if length > most]


def without_a_word(known: Modules) -> list[str]:
    return [module for module, source in known.items() if not ast.get_docstring(ast.parse(source))]


def function_lines(source: str, owner: str, name: str) -> int:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == name:
                    return (each.end_lineno or each.lineno) - each.lineno + 1
    raise LookupError(f"{owner}.{name}")


def test_imports_go_down_and_drivers_stay_at_home() -> None:
    assert wrong_imports(modules()) == []


def test_every_room_has_its_floor() -> None:
    assert {room(module) for module in modules()} <= LEVEL.keys()


def test_files_are_short() -> None:
    assert too_long(modules()) == []
    assert too_long(modules(ROOT / "tests")) == []


def test_every_module_says_what_it_is_for() -> None:
    assert without_a_word(modules()) == []
    assert without_a_word(modules(ROOT / "tests")) == []


def test_the_loop_fits_a_screen() -> None:
    assert function_lines(modules()["pipeline.loop"], "Loop", "run") <= MOST_LOOP_LINES


HOUSE = {
    "": "",
    "errors": "",
    "clock": "",
    "logs": "",
    "model": "",
    "model.window": "",
    "pipeline": "",
    "pipeline.loop": "",
    "source": "",
    "source.stream": "",
    "sink": "",
    "checkpoint": "",
    "checkpoint.mongo": "",
    "service": "",
    "cli": "",
    "cli.demo": "",
    "cli.run": "",
    "demo": "",
    "demo.play": "",
    "web": "",
    "preflight": "",
    "config": "",
}


def judged(module: str, source: str) -> list[str]:
    return wrong_imports(HOUSE | {module: source})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("errors", "import bridge.clock"),
        ("clock", "from bridge import logs"),
        ("clock", "from bridge.logs import Repeated"),
        ("model.window", "from bridge.pipeline import loop"),
        ("model.window", "def f():\n    from bridge.service import Service"),
        ("pipeline.loop", "from bridge.source.stream import ChangeStream"),
        ("pipeline.loop", "import bridge.sink"),
        ("source.stream", "from bridge.sink import producer"),
        ("web", "from bridge.checkpoint import mongo"),
        ("service", "from bridge.cli.run import run"),
        ("service", "from bridge.preflight import preflight"),
        ("cli.run", "from bridge.demo.play import play"),
        ("service", "from bridge.demo import play"),
        ("demo.play", "from bridge.cli import main"),
        ("model.window", "from . import position"),
        ("attic", "from bridge.errors import BridgeError"),
        ("service", "import pymongo"),
        ("checkpoint", "from pymongo import MongoClient"),
        ("model.window", "from bson.timestamp import Timestamp"),
        ("checkpoint.mongo", "from kafka.errors import KafkaError"),
        ("pipeline.loop", "import kafka.errors as errors"),
        ("service", "import click"),
        ("model.window", "import prometheus_client"),
        ("demo.broker", "import click"),
        ("source.stream", "from motor.motor_asyncio import AsyncIOMotorClient"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(judged(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.loop", "from bridge.model.window import Window"),
        (
            "source.stream",
            "from bridge.source import decode\nfrom pymongo.errors import PyMongoError\nimport bson",
        ),
        ("checkpoint.mongo", "from pymongo import MongoClient"),
        ("cli.demo", "from bridge.demo.play import play\nimport click"),
        (
            "demo.play",
            "import kafka\nfrom bridge.service import Service\nfrom motor import motor_asyncio",
        ),
        ("preflight", "from bridge.parts import make_store"),
        ("model.window", "from bridge import __version__\nimport json"),
        ("web", "import prometheus_client.core"),
        ("sink", "import kafka"),
    ],
)
def test_a_right_import_is_left_alone(module: str, source: str) -> None:
    assert judged(module, source) == []


def test_a_long_file_and_one_without_a_word_are_found() -> None:
    known = {
        "long": '"""Long."""\n' + "x = 1\n" * MOST_LINES,
        "silent": "x = 1\n",
        "right": '"""Right."""\n',
    }

    assert too_long(known) == ["long has 301 lines"]
    assert without_a_word(known) == ["silent"]


def test_a_function_is_measured_whole() -> None:
    source = "class Loop:\n    def other(self): ...\n    def run(self):\n        x = 1\n\n        return x\n"

    assert function_lines(source, "Loop", "run") == 4
    with pytest.raises(LookupError):
        function_lines(source, "Loop", "missing")
