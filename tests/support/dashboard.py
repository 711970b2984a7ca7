"""The queries of the Grafana dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parents[2] / "config" / "grafana" / "job-bridge.json"
#: The variables that select bridges; "All" is this value.
ALL = ".*"


def document() -> dict[str, Any]:
    """Return the dashboard."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return dashboard


def queries() -> list[tuple[str, str]]:
    """Return title and expression of each query, for all bridges."""
    return [
        (panel["title"], target["expr"].replace("$job", ALL).replace("$name", ALL))
        for panel in document()["panels"]
        for target in panel.get("targets", [])
    ]
