"""The structure of the house: imports go down, each library has a home, files stay short."""

from __future__ import annotations

from statistics import median

from tests.support.architecture import (
    DRIVERLESS,
    HOMES,
    LEVEL,
    MAX_LOOP_LINES,
    MAX_LOOSE_MODULES,
    MAX_MEDIAN_FUNCTION_LINES,
    ONLY_FROM,
    PACKAGE,
    PUBLIC,
    ROOT,
    function_lines,
    functions,
    lines_of,
    modules,
    room,
    too_long,
    too_long_functions,
    wide_constructors,
    with_several_assignments,
    without_docstring,
    wrong_imports,
)


def test_imports_go_down() -> None:
    assert wrong_imports(modules()) == []


def test_floors_name_existing_rooms_only() -> None:
    """Every room has a floor, and every room or module that a rule names exists."""
    known = modules()
    rooms = {room(module) for module in known}
    assert rooms == LEVEL.keys()
    rules = (*DRIVERLESS, *ONLY_FROM, *PUBLIC)
    homes = {home for rooms in (*HOMES.values(), *DRIVERLESS.values()) for home in rooms}
    assert {*rules, *homes} <= known.keys()


def test_few_loose_modules() -> None:
    loose = [path.name for path in (ROOT / PACKAGE).glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= MAX_LOOSE_MODULES


def test_files_are_short() -> None:
    assert too_long(modules()) == []
    assert too_long(modules(ROOT / "tests")) == []


def test_functions_are_short() -> None:
    known = modules()
    assert too_long_functions(known) == []
    lengths = [lines_of(function) for source in known.values() for _, function in functions(source)]
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
