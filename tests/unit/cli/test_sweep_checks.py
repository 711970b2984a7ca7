"""The checks before a sweep: no bridge of another mode publishes the same collection."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.cli import sweep_checks
from bridge.cli.sweep_checks import refuse_beside_bridge, written_by_sweep
from bridge.errors import Misconfigured, NotPermitted
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.profile import namespace_of
from bridge.settings import Settings, load
from tests.support.factories import checkpoint


def settings_of(mode: str, tagged_by: str = "service") -> Settings:
    given = {"delivery.mode": mode, "mongo.database": "cts", "mongo.collection": "jobs"}
    if mode == "background-jobs":
        given |= {"sweep.job_tag": "to_notify", "sweep.tagged_by": tagged_by}
    return load(None, given)


def store_has(monkeypatch: pytest.MonkeyPatch, entries: Sequence[CheckpointEntry]) -> None:
    monkeypatch.setattr(sweep_checks, "_entries", lambda _: entries)


class TestSweepChecks:
    def test_a_bridge_of_the_collection_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = settings_of("background-transitions")
        ours = replace(checkpoint(), namespace=namespace_of(settings))
        store_has(monkeypatch, [CheckpointEntry("a", ours, owner="process 7")])
        with pytest.raises(Misconfigured, match="process 7 owns the checkpoint 'a'"):
            refuse_beside_bridge(settings)

    @pytest.mark.parametrize(
        ("namespace", "owner"), [("cts.others", "process 7"), ("cts.jobs", "")]
    )
    def test_other_checkpoints_do_not_matter(
        self, namespace: str, owner: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored = replace(checkpoint(), namespace=namespace)
        store_has(monkeypatch, [CheckpointEntry("a", stored, owner), CheckpointEntry("b", None)])
        refuse_beside_bridge(settings_of("background-transitions"))

    def test_an_unreadable_store_is_a_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(_: Settings) -> None:
            raise NotPermitted("MongoDB denies find")

        monkeypatch.setattr(sweep_checks, "_entries", refuse)
        refuse_beside_bridge(settings_of("background-transitions"))
        assert "cts.jobs: MongoDB denies find" in caplog.text

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            ("background-jobs", "then removes their field to_notify"),
            ("background-transitions", "then sets transition_times.notif_sent to true"),
        ],
    )
    def test_the_written_field_is_named(self, mode: str, words: str) -> None:
        assert words in written_by_sweep(settings_of(mode))
