"""The decoder with renamed fields."""

from __future__ import annotations

import pytest

from bridge.model.profile import Profile
from tests.support.decoding import FakeLookup, decoder, items_of, sequence_of, updated
from tests.support.factories import element, inserted

RENAMED = Profile("jobs", "id", "status", "log", None, "to", "when", "uid")


def test_a_profile_may_rename_all_fields() -> None:
    lookup = FakeLookup()
    lookup.before["key"] = {
        "_id": "key",
        "id": "job-0",
        "log": [{"to": "a", "when": element(0)["d"], "uid": "t"}],
    }
    raw = updated(
        1,
        {"k": "log.1", **element(1, "x", i="u")},
        {"k": "log.0.to", "v": "y"},
        {"k": "log.0.uid", "v": "v"},
    )

    items = items_of(decoder(lookup, RENAMED), inserted(0, element(0, "a", i="t")), raw)

    assert [(item.state, item.trans_id, item.sequence) for item in items[1:]] == [
        ("y", "v", sequence_of(0)),
        ("x", "u", sequence_of(1)),
    ]


@pytest.mark.parametrize("array", ["transition_times", "trans_history", "archive"])
def test_an_array_of_another_profile_is_ignored(array: str) -> None:
    lookup = FakeLookup()
    lookup.before["key"] = {"_id": "key", "id": "job-0", "log": []}
    raw = updated(1, {"k": f"{array}.0", **element(0)})

    assert items_of(decoder(lookup, RENAMED), inserted(0), raw) == []
