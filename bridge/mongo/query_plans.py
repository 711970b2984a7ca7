"""MongoDB's query plans: whether an index serves a query."""

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.collection import Collection

from bridge.mongo.client import Document
from bridge.mongo.errors import translated


def lacks_index(collection: Collection[Document], query: Mapping[str, Any], **options: Any) -> bool:
    """Whether MongoDB reads every document or sorts in memory for this query.

    Args:
        options: options of ``find``.
    """
    return any(
        stage["stage"] in ("COLLSCAN", "SORT") for stage in _plan(collection, query, options)
    )


def uses_partial_index(
    collection: Collection[Document], query: Mapping[str, Any], **options: Any
) -> bool:
    """Whether MongoDB reads partial indexes only for this query.

    Args:
        options: options of ``find``.
    """
    reads = [
        stage
        for stage in _plan(collection, query, options)
        if stage["stage"] in ("IXSCAN", "COLLSCAN")
    ]
    # The plan for a missing collection reads nothing; such a collection has no index.
    return bool(reads) and all(stage.get("isPartial") for stage in reads)


def _plan(
    collection: Collection[Document], query: Mapping[str, Any], options: Mapping[str, Any]
) -> list[Document]:
    find = {"find": collection.name, "filter": query, **options}
    with translated():
        reply = collection.database.command("explain", find, verbosity="queryPlanner")
    return list(_stages(reply))


def _stages(plan: Any) -> Iterator[Document]:
    """Yield the stages of the winning plan, including those of each shard."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan
        for name, inner in plan.items():
            if name != "rejectedPlans":
                yield from _stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _stages(inner)
