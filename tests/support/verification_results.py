"""Runs ``verify`` and ``replay``, and counts the findings."""

from __future__ import annotations

import json
from typing import Any

from tests.support.command import COMMAND_SECONDS, GivenSettings, run_command


def verify(
    settings: GivenSettings, *arguments: str, seconds: float = COMMAND_SECONDS
) -> dict[str, Any]:
    """The findings of ``verify --json``, and its exit code as ``code``."""
    ended = run_command("verify", "--json", *arguments, settings=settings, seconds=seconds)
    assert ended.code in (0, 66, 75), ended.err
    documents = [json.loads(line) for line in ended.out.splitlines()]
    return {**documents[-1], "code": ended.code}


def counts(document: dict[str, Any]) -> dict[str, int]:
    kinds = (
        "transitions",
        "messages",
        "missing",
        "repeated",
        "out_of_order",
        "strange",
        "wrong",
        "set_aside",
        "shared_ids",
    )
    return {kind: document[kind] for kind in kinds if document[kind]}


def replay(settings: GivenSettings, *arguments: str) -> None:
    assert run_command("replay", *arguments, settings=settings).code == 0
