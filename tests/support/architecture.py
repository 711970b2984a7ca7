"""The rules of the house's structure, and the searches for lines that break them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "bridge"
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_FUNCTION_LINES = 8
#: A loop that fits one screen is read as a whole.
MAX_LOOP_LINES = 24
MAX_LOOSE_MODULES = 5
MAX_PARAMETERS = 6
MAX_POSITIONAL = 3

#: From the top down. A module imports from lower floors; rooms on one floor do not know each
#: other.
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
    ("errors", "clock", "hints", "daemon_executor", "files"),
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
    "click": ("cli", "demo.play"),
    "prometheus_client": ("observability", "notifier.metrics"),
    "pydantic": ("settings", "verification.scheduler"),
    "pydantic_settings": ("settings",),
    "pythonjsonlogger": ("logs",),
}

Modules = dict[str, str]


def modules(root: Path = ROOT / PACKAGE) -> Modules:
    """The source of every module, by its name below the package."""
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text()
    return sources


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


def inside(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


def wrong_imports(known: Modules) -> list[str]:
    """Every import that breaks a rule: the rule, and where the line belongs."""
    violations = []
    for module, source in known.items():
        for line, target in imported(source):
            reason = _wrong(module, target, known)
            if reason:
                location = f"bridge/{module.replace('.', '/')}:{line}"
                violations.append(f"{location} imports {target}: {reason}")
    return violations


def _wrong(module: str, target: str, known: Modules) -> str:
    if target.startswith("."):
        return "imports are absolute; write the whole name"
    home = named(target, known)
    if not module and home in PUBLIC:
        return ""
    if home is None:
        return _wrong_library(module, target)
    for name in (room(module), room(home)):
        if name not in LEVEL:
            return f"the room {name} has no floor; add it to FLOORS"
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
    return (
        f"imports go down and {room(home)} stands above {room(module)}; "
        "move the line up, or what it needs down"
    )


def too_long(known: Modules) -> list[str]:
    violations = []
    for module, source in known.items():
        length = len(source.splitlines())
        if length > MAX_FILE_LINES:
            violations.append(
                f"{module} has {length} lines, at most {MAX_FILE_LINES}: divide it by idea"
            )
    return violations


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
    violations = []
    for module, source in known.items():
        for name, arguments in constructors(source):
            positional = len(arguments.posonlyargs) + len(arguments.args) - 1
            count = positional + len(arguments.kwonlyargs)
            if count > MAX_PARAMETERS or positional > MAX_POSITIONAL:
                violations.append(
                    f"{module}.{name} takes {count} parameters, {positional} of them by position"
                )
    return violations


def with_several_assignments(known: Modules) -> list[str]:
    """Lines of constructors that assign several attributes at once."""
    violations = []
    for module, source in known.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                violations += [
                    f"{module}:{statement.lineno} assigns several attributes at once"
                    for statement in ast.walk(node)
                    if isinstance(statement, ast.Assign)
                    and (len(statement.targets) > 1 or isinstance(statement.targets[0], ast.Tuple))
                ]
    return violations


def without_docstring(known: Modules) -> list[str]:
    return [module for module, source in known.items() if not ast.get_docstring(ast.parse(source))]


def function_lines(source: str, owner: str, name: str) -> int:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == name:
                    return (item.end_lineno or item.lineno) - item.lineno + 1
    raise LookupError(f"{owner}.{name}")
