"""How MongoDB would answer a query: with an index, or by looking at every document."""

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.collection import Collection

from bridge.source.client import Document
from bridge.source.errors import translated


def scans(collection: Collection[Document], query: Mapping[str, Any], sort: Mapping[str, int] | None = None) -> bool:
    """Whether the query looks at every document, or sorts in memory."""
    command = {"find": collection.name, "filter": query, **({"sort": dict(sort)} if sort else {})}
    with translated():
        plan = collection.database.command("explain", command, verbosity="queryPlanner")
    return not {"COLLSCAN", "SORT"}.isdisjoint(_stages(plan))


def _stages(plan: Any) -> Iterator[str]:
    """The stages of the winning plan, also those of each shard."""
    if isinstance(plan, dict):
        if isinstance(plan.get("stage"), str):
            yield plan["stage"]
        for name, inner in plan.items():
            if name != "rejectedPlans":
                yield from _stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _stages(inner)
