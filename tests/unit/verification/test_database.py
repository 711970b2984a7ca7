"""The ledger, where the machine gives it no room."""

from __future__ import annotations

import pytest

from bridge.errors import Retryable
from bridge.verification.database import Expected, TransitionDatabase
from tests.support.factories import job


def test_when_the_temporary_folder_is_full_it_says_so_in_one_line() -> None:
    with (
        pytest.raises(
            Retryable,
            match=r"database or disk is full\. Comparing changed nothing\. Make room .* SQLITE_TMPDIR",
        ) as raised,
        TransitionDatabase() as ledger,
    ):
        ledger._database.execute("PRAGMA max_page_count = 10")
        for number in range(1000):
            ledger.tell([Expected(job(number), "i", 0, "s", "2026-03-02T18:00:00+00:00", "i")])
    assert raised.value.exit_code == 75
