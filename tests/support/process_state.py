"""A snapshot of the process that hosts a library: Kafka's classes, loggers and global settings."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any

CLIENTS = ("kafka", "confluent_kafka")
#: Where Python notes a warning, in the module that runs when a collection finds its cause.
_WARNED = "__warningregistry__"


def process_state() -> dict[str, Any]:
    """Everything by name; values are compared by identity where that matters."""
    return {**_clients(), **_loggers(), **_globals()}


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names whose values differ."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or before[name] != after[name]
    )


def _clients() -> dict[str, Any]:
    state = {}
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] not in CLIENTS:
            continue
        for name, value in vars(module).items():
            if name == _WARNED:
                continue
            state[f"{module_name}.{name}"] = id(value)
            if inspect.isclass(value):
                for attribute, method in vars(value).items():
                    # Abstract classes keep caches of their subclasses.
                    if not attribute.startswith("_abc_"):
                        state[f"{module_name}.{name}.{attribute}"] = id(method)
    return state


def _loggers() -> dict[str, Any]:
    names = [name for name in logging.Logger.manager.loggerDict if not name.startswith("bridge")]
    return {
        f"logger {name}": (
            logger.level,
            logger.propagate,
            logger.disabled,
            list(map(id, logger.handlers)),
            list(map(id, logger.filters)),
        )
        for name in ["", *names]
        for logger in [logging.getLogger(name)]
    }


def _globals() -> dict[str, Any]:
    return {
        "environment": dict(os.environ),
        "exception hooks": (id(sys.excepthook), id(threading.excepthook)),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "logger class": id(logging.getLoggerClass()),
        "logging": logging.root.manager.disable,
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "switch interval": sys.getswitchinterval(),
        "warnings": list(warnings.filters),
    }
