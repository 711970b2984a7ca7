"""The commands that errors and log lines advise.

Below the command line they are defined only here, so that a renamed command cannot leave an untrue
hint: a test parses each with the command line itself.
"""

from enum import StrEnum


class Hint(StrEnum):
    """A command as an operator types it; upper-case words stand for values."""

    INIT = "job-bridge init"
    CONFIG_EXAMPLE = "job-bridge config example"
    RUNBOOK = "job-bridge config runbook SECTION"
    RIGHTS_MONGODB = "job-bridge config rights mongo"
    RIGHTS_KAFKA = "job-bridge config rights kafka"
    CREATE_TOPICS = "job-bridge topics create"
    STATUS = "job-bridge status"
    STATUS_GROUP = "job-bridge status --group"
    TOKEN_SHOW = "job-bridge token show"
    TOKEN_LIST = "job-bridge token list"
    TOKEN_CLEAR = "job-bridge token clear"
    TOKEN_SET_NOW = "job-bridge token set now"
    TOKEN_SET_TIME = "job-bridge token set TIME"
    TOKEN_MOVE = "job-bridge token move STORE"
    RUN_FROM_HISTORY = "job-bridge run --start-from history"
    RUN_RECOVER = "job-bridge run --recovery-on-history-lost recover"
    LIST_DEAD_LETTERS = "job-bridge dead-letters list"
    VERIFY = "job-bridge verify"
    VERIFY_REPAIR = "job-bridge verify --repair"
    REPLAY_JOB = "job-bridge replay --job ID"
    CREATE_SWEEP_INDEX = "job-bridge sweep --create-index"

    def with_value(self, value: str) -> str:
        """Return this command with its last, upper-case word replaced by ``value``."""
        return f"{self.rpartition(' ')[0]} {value}"


def exit_fields(exit_code: int) -> dict[str, int | str]:
    """Return the fields of a last log line: the exit code, and the command that explains it."""
    return {"exit_code": exit_code, **({"runbook": runbook(exit_code)} if exit_code else {})}


def runbook(exit_code: int) -> str:
    """Return the command that prints the runbook's section for an exit code."""
    return Hint.RUNBOOK.with_value(str(exit_code))
