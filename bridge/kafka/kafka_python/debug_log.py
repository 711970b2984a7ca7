"""Lets the bridge's own clients of kafka-python log at the level DEBUG.

kafka-python logs each attempt to connect at INFO, WARNING and ERROR, to loggers that all clients of
a process share. The bridge reports a failure itself. Subclasses made here leave those loggers, and
the clients of a host, as they are.
"""

import logging
from collections.abc import Mapping, Set
from inspect import isfunction
from types import CodeType, FunctionType
from typing import Any

#: The global name of the logger in kafka-python's modules.
_LOG = "log"


def at_debug(kind: type, **names: type) -> Any:
    """Return a subclass whose methods log at DEBUG, to the same loggers.

    Args:
        kind: A class of kafka-python.
        names: Classes that its methods use in place of those of the same global names.
    """
    methods = {
        name: _rebound(method, names)
        for base in reversed(kind.__mro__)
        for name, method in vars(base).items()
        if isfunction(method) and _uses(method.__code__, {_LOG, *names})
    }
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **methods})


def _uses(code: CodeType, names: Set[str]) -> bool:
    nested = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return not names.isdisjoint(code.co_names) or any(_uses(inner, names) for inner in nested)


def _rebound(method: FunctionType, names: Mapping[str, type]) -> FunctionType:
    """Return the method with other global names."""
    present = method.__globals__
    changed: dict[str, Any] = {name: value for name, value in names.items() if name in present}
    if isinstance(log := present.get(_LOG), logging.Logger):
        changed[_LOG] = _DebugLog(log)
    rebound = FunctionType(
        method.__code__,
        present | changed,
        method.__name__,
        method.__defaults__,
        method.__closure__,
    )
    rebound.__kwdefaults__ = method.__kwdefaults__
    return rebound


class _DebugLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines all have the level DEBUG."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        super().log(logging.DEBUG, msg, *args, **kwargs)
