"""The margin of a recovery: an hour, or a minute where a recovery repeats it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.settings_reading import reading


@pytest.mark.parametrize(
    ("read_back", "options", "seconds"),
    [
        ("auto", {}, 3600.0),
        ("off", {}, 60.0),
        ("off", {"recovery__margin_seconds": "3600"}, 3600.0),
        ("auto", {"recovery__margin_seconds": "5"}, 5.0),
        ("off", {"recovery__margin_seconds": "5"}, 5.0),
        ("off", {"recovery__on_history_lost": "stop"}, 60.0),
    ],
)
def test_the_default_margin_depends_on_read_back(
    read_back: str, options: dict[str, str], seconds: float
) -> None:
    kafka = SimpleNamespace(read_back=read_back)

    settings = reading({}, None, **options).model_copy(update={"kafka": kafka})

    assert settings.recovery_margin == seconds
