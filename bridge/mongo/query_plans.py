"""How MongoDB would answer a query: with an index, or by looking at every document."""

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.collection import Collection

from bridge.mongo.client import Document
from bridge.mongo.errors import translated


def scans(collection: Collection[Document], query: Mapping[str, Any], **options: Any) -> bool:
    """Whether the query looks at every document, or sorts in memory; ``options`` are those of ``find``."""
    return any(
        stage["stage"] in ("COLLSCAN", "SORT") for stage in _plan(collection, query, options)
    )


def partial(collection: Collection[Document], query: Mapping[str, Any], **options: Any) -> bool:
    """Whether only indexes of some documents are used, those of a partial index; ``options`` are those of ``find``."""
    reading = [
        stage
        for stage in _plan(collection, query, options)
        if stage["stage"] in ("IXSCAN", "COLLSCAN")
    ]
    # A collection that does not exist is read by no stage, and has no index.
    return bool(reading) and all(stage.get("isPartial") for stage in reading)


def _plan(
    collection: Collection[Document], query: Mapping[str, Any], options: Mapping[str, Any]
) -> list[Document]:
    command = {"find": collection.name, "filter": query, **options}
    with translated():
        return list(
            _stages(collection.database.command("explain", command, verbosity="queryPlanner"))
        )


def _stages(plan: Any) -> Iterator[Document]:
    """The stages of the winning plan, also those of each shard."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan
        for name, inner in plan.items():
            if name != "rejectedPlans":
                yield from _stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _stages(inner)
