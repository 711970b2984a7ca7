"""Prometheus and promtool, from Debian's package."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from bridge.demo.servers.process import Child, Server, free_port
from tests.support.servers.cache import FetchError, cached, unavailable
from tests.support.servers.debian import DebianPackages

RULES = Path(__file__).parents[3] / "config" / "prometheus"
RULE_FILES = ("recording-rules.yml", "alerts.yml")


class Prometheus(Server):
    """Scrapes bridges each second with the shipped rules, whose waits are 5 seconds.

    ``targets`` are addresses, as ``127.0.0.1:9595``.
    """

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        super().__init__(folder)
        self._program = program("prometheus")
        self._targets = list(targets)
        self._address = f"127.0.0.1:{free_port()}"

    def alerts(self) -> set[str]:
        """Return the names of the firing alerts."""
        document = self._get("/api/v1/alerts")
        return {
            alert["labels"]["alertname"]
            for alert in document["data"]["alerts"]
            if alert["state"] == "firing"
        }

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query; raises ``OSError`` for a bad expression."""
        document = self._get(f"/api/v1/query?{urlencode({'query': expression})}")
        series: list[dict[str, Any]] = document["data"]["result"]
        return series

    def _make_children(self) -> tuple[Child, ...]:
        for name in RULE_FILES:
            rules = re.sub(r"for: \d+[mh]", "for: 5s", (RULES / name).read_text())
            (self.folder / name).write_text(rules.replace("interval: 1m", "interval: 1s"))
        scrape = {"job_name": "job-bridge", "static_configs": [{"targets": self._targets}]}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": RULE_FILES,
            "scrape_configs": [scrape],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(settings))
        options = (
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self._address}",
        )
        return (Child([str(self._program), *options], self.folder / "prometheus.log"),)

    def _await_ready(self) -> None:
        self._children[0].await_ready(self._answers, "Prometheus")

    def _answers(self) -> bool:
        try:
            return bool(self._get("/api/v1/query?query=1"))
        except OSError:
            return False

    def _get(self, path: str) -> dict[str, Any]:
        with urlopen(f"http://{self._address}{path}", timeout=30) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


def program(name: str) -> Path:
    """Return ``prometheus`` or ``promtool``: of the path, else fetched once with apt.

    Skips the test, with a reason, where neither is possible; fails where ``CI`` is set.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    try:
        return cached("prometheus", _fetch) / name
    except FetchError as error:
        unavailable(f"Prometheus cannot be fetched: {error}")


def _fetch(folder: Path) -> None:
    state = folder / "apt"
    packages = DebianPackages(state)
    packages.download("prometheus")
    packages.unpack(state / "unpacked")
    for name in ("prometheus", "promtool"):
        (state / "unpacked/usr/bin" / name).rename(folder / name)
    shutil.rmtree(state)
