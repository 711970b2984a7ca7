"""``verify.every`` when no verification can be made."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.metrics import Counters
from bridge.verifying import Verifying
from bridge.web.status import Status
from tests.factories import settings


def test_without_a_process_to_be_had_the_next_one_covers_its_time_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(subprocess, "Popen", none_left)
    verifying = Verifying(settings(verify__every="1h"), Status({}, SystemClock(), Counters()))

    with caplog.at_level(logging.WARNING):
        assert not verifying._verified(0.0, 60.0)

    assert "the next one covers its time too: [Errno 12] Cannot allocate memory" in caplog.text
