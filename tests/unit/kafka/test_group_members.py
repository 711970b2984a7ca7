"""The members of an owner group: their names, and the ended processes among them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from bridge.kafka.librdkafka import group_members
from bridge.kafka.librdkafka.group_members import (
    GroupMember,
    member_client_id,
    members_of,
    membership_of,
)
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process


def described(client_id: str, member_id: str = "m", *, owns: bool = False) -> Any:
    """A member as an admin client describes it."""
    return SimpleNamespace(
        member_id=member_id,
        group_instance_id=None,
        client_id=client_id,
        host="/10.0.0.7",
        assignment=SimpleNamespace(topic_partitions=[TopicPartition("state", 0)] if owns else []),
    )


def member(client_id: str, member_id: str = "m", *, owns: bool = False) -> GroupMember:
    description = SimpleNamespace(members=[described(client_id, member_id, owns=owns)])
    (only,) = members_of(description)
    return only


def test_a_client_id_names_process_and_start() -> None:
    now = time.time()

    us = member(member_client_id(now))

    assert us.process == this_process()
    assert us.text == process_text(this_process())
    assert us.joined_at == int(now)
    assert not us.is_dead


@pytest.mark.parametrize("host", ["a_b", "a_b/0f/4026531836", "host.example", "", "a__/1/2"])
def test_any_host_name_can_be_read_back(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    process = {"host": host, "pid": 7, "start": "99"}
    monkeypatch.setattr(group_members, "this_process", lambda: process)

    assert member(member_client_id(1.0)).process == process


def test_an_ended_process_of_this_host_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = this_process() | {"start": "1"}
    monkeypatch.setattr(group_members, "this_process", lambda: ended)
    assert member(member_client_id(1.0)).is_dead

    elsewhere = ended | {"host": "elsewhere/0f/1"}
    monkeypatch.setattr(group_members, "this_process", lambda: elsewhere)
    assert not member(member_client_id(1.0)).is_dead


@pytest.mark.parametrize(
    "client_id", ["rdkafka", "", "job-bridge-4711", "job-bridge_a_b_c_x_1_2", "job-bridge_1_2"]
)
def test_other_clients_are_never_dead(client_id: str) -> None:
    other = member(client_id)

    assert not other.is_dead
    assert other.text == f"the client {client_id} at 10.0.0.7"
    assert other.joined_at is None


def test_reports_separate_owner_and_standbys() -> None:
    members = (member("one", "1"), member("two", "2", owns=True), member("three", "3"))
    texts = [f"the client {name} at 10.0.0.7" for name in ("one", "two", "three")]
    standbys = (Member(texts[0]), Member(texts[2]))

    assert membership_of(members, "2", {texts[1]: 5.0}) == Membership(
        Member(texts[1], 5.0), standbys, is_us=True
    )
    assert not membership_of(members, "1", {}).is_us
    assert membership_of(members[:1], "1", {}) == Membership(None, standbys[:1])
