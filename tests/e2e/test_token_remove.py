"""``token remove``: removes a name from each store, and leaves everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.e2e.conftest import MakeBridge
from tests.support.command import SECRET, EndedCommand, GivenSettings, run_command
from tests.support.granted_rights import roles
from tests.support.servers.mongo import MongoDeployment


@pytest.fixture
def given(each_store: dict[str, str]) -> dict[str, str]:
    """The settings with each store, which has a checkpoint."""
    assert token(each_store, "set", "now", "--yes").code == 0
    return each_store


def token(given: GivenSettings, *words: str, answer: str = "") -> EndedCommand:
    return run_command("token", *words, settings=given, answer=answer)


def names(given: GivenSettings) -> set[str]:
    return {entry["name"] for entry in json.loads(token(given, "list", "--json").out)}


def test_a_removed_name_is_in_no_list(given: GivenSettings, tmp_path: Path) -> None:
    """A dry run and a declined question remove nothing; an unknown name is reported."""
    name = given["checkpoint.name"]
    dry = token(given, "remove", name, "--dry-run", "--json")
    assert (dry.code, json.loads(dry.out)["changed"]) == (0, False)
    declined = token(given, "remove", name, answer="n\n")
    assert (declined.code, declined.err) == (130, "nothing was changed\n")
    assert name in names(given)

    empty = token(given, "remove", "", "--yes")
    assert empty.code == 64 and "NAME is empty" in empty.error
    assert name in names(given)

    # The name is an argument: the settings may be those of another bridge.
    removed = token({**given, "checkpoint.name": "other"}, "remove", name, answer="y\n")

    assert removed.code == 0 and "no message and no job is changed" in removed.out
    assert name not in names(given)
    assert [path.name for path in tmp_path.iterdir() if "checkpoint" in path.name] == []
    again = token(given, "remove", name, "--yes")
    assert again.code == 66 and f"no checkpoint '{name}'" in again.error


def test_the_name_of_a_running_bridge_stays(given: GivenSettings, start: MakeBridge) -> None:
    name = given["checkpoint.name"]
    with start(**given) as bridge:
        bridge.wait_ready()

        refused = token(given, "remove", name, "--yes")

        assert refused.code == 76
        assert bridge.stop() == 0
    assert name in names(given)


def test_removing_needs_a_right_of_its_own(
    locked_mongo: MongoDeployment, settings: GivenSettings
) -> None:
    """A bridge with the rights of the script cannot remove its checkpoint."""
    needed = roles()["jobBridge"]["privileges"]
    users = {"keeper": needed, "cleaner": [*needed, {**needed[1], "actions": ["remove"]}]}
    with MongoClient[Any](locked_mongo.root_uri) as client:
        for name, privileges in users.items():
            client.admin.command("createRole", name, privileges=privileges, roles=[])
            client.admin.command("createUser", name, pwd=f"{name}-{SECRET}", roles=[name])
    keeper, cleaner = (
        {
            **settings,
            "mongo.uri": f"{locked_mongo.uri}&authSource=admin",
            "mongo.username": name,
            "mongo.password": f"{name}-{SECRET}",
            "mongo.database": "cdmtaskservice",
        }
        for name in users
    )
    name = settings["checkpoint.name"]
    assert token(keeper, "set", "now", "--yes").code == 0

    refused = token(keeper, "remove", name, "--yes")

    assert refused.code == 77 and "MongoDB does not let this user remove" in refused.error
    assert "a user who may remove documents there" in refused.error
    assert token(cleaner, "remove", name, "--yes").code == 0
    assert token(keeper, "remove", name, "--yes").code == 66
