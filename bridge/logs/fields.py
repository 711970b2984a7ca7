"""The fields of a log line."""

import logging

#: Given as ``extra=``. Other attributes of a record are not printed.
FIELDS = ("job_id", "trans_id", "position", "exit_code", "runbook", "reason")


def fields_text(record: logging.LogRecord) -> str:
    """Return those of :data:`FIELDS` that a record has, as `` name=value ...``."""
    return "".join(f" {name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name))
