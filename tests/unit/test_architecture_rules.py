"""The searches of the architecture test find each kind of broken rule."""

from __future__ import annotations

import pytest

from tests.support.architecture import (
    MAX_FILE_LINES,
    MAX_FUNCTION_LINES,
    function_lines,
    too_long,
    too_long_functions,
    wide_constructors,
    with_several_assignments,
    without_docstring,
    wrong_imports,
)

HOUSE = dict.fromkeys(
    (
        "",
        "errors",
        "clock",
        "logs",
        "settings",
        "model",
        "model.window",
        "mongo",
        "mongo.change_stream",
        "kafka",
        "checkpoint",
        "observability",
        "pipeline",
        "pipeline.loop",
        "delivery",
        "verification",
        "app",
        "app.bridge",
        "notifier",
        "demo",
        "demo.play",
        "cli",
        "cli.demo",
        "cli.run",
    ),
    "",
)


def judged(module: str, source: str) -> list[str]:
    return wrong_imports(HOUSE | {module: source})


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("errors", "import bridge.clock", "one floor"),
        ("clock", "from bridge import logs", "imports go down"),
        ("clock", "from bridge.logs import Repeated", "imports go down"),
        ("errors", "import pymongo", "only mongo"),
        ("settings", "from bridge.model.window import Window", "imports go down"),
        ("model.window", "from bridge.pipeline import loop", "imports go down"),
        ("model.window", "def f():\n    from bridge.app.bridge import Bridge", "imports go down"),
        ("model.window", "from . import position", "absolute"),
        ("model.window", "from bson.timestamp import Timestamp", "only mongo"),
        ("model.window", "import prometheus_client", "only observability"),
        ("mongo.change_stream", "from bridge.kafka import drivers", "one floor"),
        ("mongo.change_stream", "from bridge.pipeline.ports import Stream", "imports go down"),
        ("mongo.change_stream", "from motor.motor_asyncio import X", "only demo"),
        ("observability", "from bridge.checkpoint import file", "one floor"),
        ("checkpoint", "from pymongo import MongoClient", "only mongo"),
        ("pipeline.loop", "from bridge.mongo.change_stream import ChangeStream", "ports"),
        ("pipeline.loop", "import kafka.errors as errors", "only kafka"),
        ("delivery", "import bridge.kafka", "ports"),
        ("verification", "from bridge.mongo import client", "ports"),
        ("verification", "from bridge.delivery import modes", "one floor"),
        ("app.bridge", "from bridge.cli.run import run", "imports go down"),
        ("app.bridge", "from bridge.demo import play", "does not need the demo"),
        ("app.bridge", "import click", "only cli"),
        ("notifier", "from bridge.app.bridge import Bridge", "one floor"),
        ("cli.run", "from bridge.demo.play import play", "does not need the demo"),
        ("demo.play", "from bridge.cli import main", "imports go down"),
        ("demo", "import click", "only cli"),
        ("attic", "from bridge.errors import BridgeError", "no floor"),
    ],
)
def test_a_wrong_import_names_its_rule(module: str, source: str, rule: str) -> None:
    (violation,) = judged(module, source)
    assert rule in violation


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.loop", "from bridge.model.window import Window"),
        ("mongo.change_stream", "from bridge.mongo import client\nimport bson, pymongo"),
        ("cli.demo", "from bridge.demo.play import play\nimport click"),
        ("demo.play", "import kafka\nfrom bridge.app.bridge import Bridge\nimport motor"),
        ("app.bridge", "from bridge.delivery import modes\nimport bridge.mongo"),
        ("model.window", "from bridge import __version__\nimport json"),
        ("observability", "import prometheus_client.core"),
        ("kafka", "import kafka"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert judged(module, source) == []


def test_long_files_and_silent_ones_are_found() -> None:
    known = {
        "long": '"""Long."""\n' + "x = 1\n" * MAX_FILE_LINES,
        "silent": "x = 1\n",
        "right": '"""Right."""\n',
    }

    assert too_long(known) == ["long has 301 lines, at most 300: divide it by idea"]
    assert without_docstring(known) == ["silent"]


def test_functions_are_measured_without_docstrings() -> None:
    known = {"long": "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES}
    assert too_long_functions(known) == ["long.f has 41 lines, at most 40"]
    documented = (
        "def f():\n" + '    """Say\n\n    so."""\n' + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    )
    assert too_long_functions({"right": documented}) == []


def test_wide_constructors_are_found() -> None:
    wide = "class A:\n    def __init__(self, a, b, c, *, d, e, f, g): ...\n"
    positional = "class A:\n    def __init__(self, a, b, c, d): ...\n"
    right = "class A:\n    def __init__(self, a, b, c, *, d, e, f): ...\n"
    assert len(wide_constructors({"x": wide, "y": positional, "z": right})) == 2


def test_several_assignments_are_found() -> None:
    several = "class A:\n    def __init__(self, a):\n        self.a, self.b = a, 1\n"
    chain = "class A:\n    def __init__(self, a):\n        self.a = self.b = a\n"
    right = "class A:\n    def __init__(self, a):\n        self.a = a\n        self.b = 1\n"
    assert len(with_several_assignments({"x": several, "y": chain, "z": right})) == 2


def test_a_method_is_measured_whole() -> None:
    source = (
        "class Loop:\n    def other(self): ...\n"
        "    def run(self):\n        x = 1\n\n        return x\n"
    )

    assert function_lines(source, "Loop", "run") == 4
    with pytest.raises(LookupError):
        function_lines(source, "Loop", "missing")
