"""The database of a comparison, if the disk is full."""

from __future__ import annotations

import pytest

from bridge.errors import Retryable
from bridge.verification.database import DeadLettered, TransitionDatabase
from tests.support.factories import job


def test_a_full_temporary_folder_is_retryable() -> None:
    with (
        pytest.raises(
            Retryable,
            match=r"database or disk is full\. The comparison changed nothing\. "
            r"Make room .* SQLITE_TMPDIR",
        ) as raised,
        TransitionDatabase() as database,
    ):
        database._database.execute("PRAGMA max_page_count = 10")
        for number in range(1000):
            database.add_dead_lettered([DeadLettered(job(number), "i", "s", "t", True)])
    assert raised.value.exit_code == 75
