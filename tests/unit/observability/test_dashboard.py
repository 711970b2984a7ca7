"""The Grafana dashboard: each query has data of the metrics that a bridge serves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.alert_scenario import check_queries
from tests.support.dashboard import document, queries
from tests.support.servers.prometheus import RULES
from tests.unit.observability.test_metric_rules import page

MINUTES = 30
#: The scrape jobs of two bridges that have the same name, namespace and topic.
JOBS = ("production", "staging")
#: Names of metrics and recording rules in an expression.
NAME = re.compile(r"\b(?:(?:bridge|process):job_bridge_\w+:\w+|(?:job_bridge|process)_\w+)\b")


def samples() -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample on the page of a bridge."""
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(page())
        for sample in family.samples
    ]


def series(job: str) -> list[dict[str, str]]:
    """The page of the bridge of ``job``, scraped each minute; nothing changes."""
    about = {"name": "cts", "namespace": "db.jobs", "topic": "job-transitions"}
    scraped = []
    for name, labels, value in samples():
        given = {"job": job, "instance": f"{job}:9595", **labels}
        given |= about if name == "job_bridge_info" else {}
        text = ",".join(f'{label}="{content}"' for label, content in given.items())
        scraped.append({"series": f"{name}{{{text}}}", "values": f"{value:f}+0x{MINUTES}"})
    return scraped


def names(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\b(?:on|by|ignoring|group_left) \([^)]*\)", "", expression)
    return set(NAME.findall(without_labels))


@pytest.mark.parametrize(
    "expression",
    [
        *(query for _, query in queries()),
        *((RULES / name).read_text() for name in ("alerts.yml", "recording-rules.yml")),
    ],
    ids=lambda expression: " ".join(sorted(names(expression)))[:60],
)
def test_every_metric_exists(expression: str) -> None:
    """In the dashboard, the alerts and the recording rules."""
    recorded = re.findall(r"- record: (\S+)", (RULES / "recording-rules.yml").read_text())
    code = "\n".join(line for line in expression.splitlines() if "#" not in line)

    unknown = names(code) - {name for name, _, _ in samples()} - set(recorded)

    assert unknown == set()


def test_unknown_metrics_are_found() -> None:
    assert names('rate(job_bridge_x{le="job_bridge_y"}[5m]) + bridge:job_bridge_z:rate5m') == {
        "job_bridge_x",
        "bridge:job_bridge_z:rate5m",
    }


def test_every_query_shows_both_bridges(tmp_path: Path) -> None:
    """promtool evaluates each, with the rules, over the pages of two bridges.

    Their last verification found something, so alerts fire too.
    """
    both = [{"labels": f'{{job="{job}",name="cts"}}', "value": 1} for job in JOBS]
    expected = [
        {
            "expr": f"group by (job, name) ({query})",
            "eval_time": f"{MINUTES}m",
            "exp_samples": both,
        }
        for _, query in queries()
    ]

    check_queries(tmp_path, [scraped for job in JOBS for scraped in series(job)], expected)


def test_every_panel_can_be_read() -> None:
    """Titles are unique, legends name scrape job and bridge, panels do not overlap."""
    panels = [panel for panel in document()["panels"] if panel["type"] != "row"]
    cells = [
        (x, y)
        for panel in panels
        for box in [panel["gridPos"]]
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]
    legends = [
        target["legendFormat"]
        for panel in panels
        if panel["type"] != "table"
        for target in panel["targets"]
    ]

    assert len({panel["title"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
    assert [legend for legend in legends if "{{job}} {{name}}" not in legend] == []
