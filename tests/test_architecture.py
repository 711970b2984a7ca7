"""The structure of the house: imports go down, each library has one home, files and functions stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "bridge"
MAX_FILE_LINES = 300
#: Tables of settings and of metrics: one entry after the other, no logic.
MAX_TABLE_LINES = 400
TABLES = ("settings.schema", "observability.metrics")
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_FUNCTION_LINES = 8
#: A loop that fits one screen is read as a whole.
MAX_LOOP_LINES = 24
MAX_LOOSE_MODULES = 5
MAX_PARAMETERS = 6
MAX_POSITIONAL = 3

#: From the top down. A module imports what stands on a lower floor; rooms on one floor do not know each other.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("demo",),
    ("app", "notifier"),
    ("delivery", "verification"),
    ("pipeline",),
    ("mongo", "kafka", "checkpoint", "observability"),
    ("model",),
    ("settings",),
    ("logs",),
    ("errors", "clock", "hints"),
    ("",),  # the package itself: its version
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
#: Rooms that know the protocols of ``pipeline.ports`` and not the drivers behind them.
DRIVERLESS = {
    "pipeline": ("mongo", "kafka", "checkpoint"),
    "delivery": ("mongo", "kafka", "checkpoint"),
    "verification": ("mongo", "kafka", "checkpoint"),
}
#: The demonstration is imported by its command only.
ONLY_FROM = {"demo": ("demo", "cli.demo")}
#: The names that the package itself exports; they are loaded on first use.
PUBLIC = ("notifier", "errors")
#: The rooms and modules that may import a library.
HOMES = {
    "pymongo": ("mongo", "demo"),
    "bson": ("mongo", "demo"),
    "motor": ("demo",),
    "kafka": ("kafka", "demo"),
    "confluent_kafka": ("kafka",),
    "click": ("cli",),
    "prometheus_client": ("observability",),
    "waitress": ("observability",),
    "pydantic": ("settings", "verification.scheduler"),
    "pydantic_settings": ("settings",),
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
    """Every module that a source imports, at any depth, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def named(target: str, known: Modules) -> str | None:
    """The module of the house that an import names; None for a library."""
    outer, _, inner = target.partition(".")
    if outer != PACKAGE:
        return None
    while inner and inner not in known:
        inner = inner.rpartition(".")[0]
    return inner


def inside(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def wrong_imports(known: Modules) -> list[str]:
    """Every import that breaks a rule: the rule, and where the line belongs."""
    found = []
    for module, source in known.items():
        for line, target in imported(source):
            reason = _wrong(module, target, known)
            if reason:
                found.append(f"bridge/{module.replace('.', '/')}:{line} imports {target}: {reason}")
    return found


def _wrong(module: str, target: str, known: Modules) -> str:
    if target.startswith("."):
        return "imports are absolute; write the whole name"
    home = named(target, known)
    if not module and home in PUBLIC:
        return ""
    if home is None:
        return _wrong_library(module, target)
    for one in (module, home):
        if room(one) not in LEVEL:
            return f"the room {room(one)} has no floor; give it a place in FLOORS"
    return _wrong_room(module, home)


def _wrong_library(module: str, target: str) -> str:
    homes = HOMES.get(room(target))
    if homes is None or inside(module, homes):
        return ""
    return f"only {', '.join(homes)} may know {room(target)}; the line belongs there"


def _wrong_room(module: str, home: str) -> str:
    if room(home) in ONLY_FROM and not inside(module, ONLY_FROM[room(home)]):
        return f"only {', '.join(ONLY_FROM[room(home)])} may; the product does not need the demo"
    if room(home) in DRIVERLESS.get(room(module), ()):
        return (
            f"{room(module)} knows protocols only; name what it needs in pipeline/ports.py, "
            "and hand the driver's object in from app/wiring.py"
        )
    if room(home) == room(module) or LEVEL[room(home)] > LEVEL[room(module)]:
        return ""
    if LEVEL[room(home)] == LEVEL[room(module)]:
        return (
            f"{room(module)} and {room(home)} stand on one floor and do not know each other; "
            "what both need belongs to a lower floor"
        )
    return f"imports go down and {room(home)} stands above {room(module)}; move the line up, or what it needs down"


def too_long(known: Modules) -> list[str]:
    found = []
    for module, source in known.items():
        most = MAX_TABLE_LINES if module in TABLES else MAX_FILE_LINES
        length = len(source.splitlines())
        if length > most:
            found.append(f"{module} has {length} lines, at most {most}: divide it by idea")
    return found


def functions(source: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring and decorators."""
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def too_long_functions(known: Modules) -> list[str]:
    return [
        f"{module}.{name} has {length} lines, at most {MAX_FUNCTION_LINES}"
        for module, source in known.items()
        for name, function in functions(source)
        if (length := lines_of(function)) > MAX_FUNCTION_LINES
    ]


def constructors(source: str) -> Iterator[tuple[str, ast.arguments]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    yield node.name, item.args


def wide_constructors(known: Modules) -> list[str]:
    """Constructors with more than six parameters, or with more than three of them positional."""
    found = []
    for module, source in known.items():
        for name, arguments in constructors(source):
            positional = len(arguments.posonlyargs) + len(arguments.args) - 1
            count = positional + len(arguments.kwonlyargs)
            if count > MAX_PARAMETERS or positional > MAX_POSITIONAL:
                found.append(
                    f"{module}.{name} takes {count} parameters, {positional} of them by position"
                )
    return found


def with_several_assignments(known: Modules) -> list[str]:
    """Lines of constructors that assign several attributes at once."""
    found = []
    for module, source in known.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                found += [
                    f"{module}:{each.lineno} assigns several attributes at once"
                    for each in ast.walk(node)
                    if isinstance(each, ast.Assign)
                    and (len(each.targets) > 1 or isinstance(each.targets[0], ast.Tuple))
                ]
    return found


def without_docstring(known: Modules) -> list[str]:
    return [module for module, source in known.items() if not ast.get_docstring(ast.parse(source))]


def function_lines(source: str, owner: str, name: str) -> int:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == name:
                    return (item.end_lineno or item.lineno) - item.lineno + 1
    raise LookupError(f"{owner}.{name}")


def test_imports_go_down() -> None:
    assert wrong_imports(modules()) == []


def test_floors_name_existing_rooms_only() -> None:
    """Every room has a floor, and every room or module that a rule names exists."""
    known = modules()
    rooms = {room(module) for module in known}
    assert rooms == LEVEL.keys()
    rules = (*DRIVERLESS, *ONLY_FROM, *PUBLIC, *TABLES)
    places = {place for places in (*HOMES.values(), *DRIVERLESS.values()) for place in places}
    assert {*rules, *places} <= known.keys()


def test_few_loose_modules() -> None:
    loose = [path.name for path in (ROOT / PACKAGE).glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= MAX_LOOSE_MODULES


def test_files_are_short() -> None:
    assert too_long(modules()) == []
    assert too_long(modules(ROOT / "tests")) == []


def test_functions_are_short() -> None:
    known = modules()
    assert too_long_functions(known) == []
    lengths = [lines_of(each) for source in known.values() for _, each in functions(source)]
    assert median(lengths) <= MAX_MEDIAN_FUNCTION_LINES


def test_constructors_are_narrow() -> None:
    assert wide_constructors(modules()) == []


def test_constructors_assign_line_by_line() -> None:
    assert with_several_assignments(modules()) == []


def test_every_module_has_a_docstring() -> None:
    assert without_docstring(modules()) == []
    assert without_docstring(modules(ROOT / "tests")) == []


def test_the_loop_fits_a_screen() -> None:
    assert function_lines(modules()["pipeline.loop"], "Loop", "run") <= MAX_LOOP_LINES


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
        ("demo.play", "import click", "only cli"),
        ("attic", "from bridge.errors import BridgeError", "no floor"),
    ],
)
def test_a_wrong_import_names_its_rule(module: str, source: str, rule: str) -> None:
    (found,) = judged(module, source)
    assert rule in found


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
    told = "def f():\n" + '    """Say\n\n    so."""\n' + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    assert too_long_functions({"right": told}) == []


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
    source = "class Loop:\n    def other(self): ...\n    def run(self):\n        x = 1\n\n        return x\n"

    assert function_lines(source, "Loop", "run") == 4
    with pytest.raises(LookupError):
        function_lines(source, "Loop", "missing")
