"""The operators' files of the package: settings, rights, alerts, dashboard, unit and runbook.

``config/`` and ``docs/`` of the repository link to them, so that each exists once.
"""

from enum import StrEnum
from importlib.resources import files


class OperatorsFile(StrEnum):
    """A file of the package, by its path in this folder."""

    EXAMPLE = "job-bridge.example.toml"
    PIPELINE_JOBS = "pipeline-jobs.example.toml"
    MONGODB_ROLES = "mongodb-role.js"
    KAFKA_ACLS = "kafka-acls.sh"
    ALERTS = "prometheus/alerts.yml"
    RECORDING_RULES = "prometheus/recording-rules.yml"
    DASHBOARD = "grafana/job-bridge.json"
    SYSTEMD_UNIT = "systemd/job-bridge@.service"
    RUNBOOK = "runbook.md"

    def text(self) -> str:
        """Return the content of the file."""
        return files(__name__).joinpath(self.value).read_text("utf-8")
