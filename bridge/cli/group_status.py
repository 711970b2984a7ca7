"""``job-bridge status --group``: the members and the position, as Kafka knows them."""

import json
import time

import click

from bridge.cli.settings import Settings
from bridge.clock import iso
from bridge.errors import CheckpointUnusable, Retryable, Usage
from bridge.model.checkpoint import Checkpoint
from bridge.model.membership import Member, Membership


def group_status(settings: Settings, as_json: bool) -> int:
    """Print the members and the position; return 0 if there is an owner, else 75."""
    from bridge.app.wiring import open_group_store

    if not settings.uses_state_topic:
        raise Usage(
            f"--group needs checkpoint.store = kafka, it is {settings.checkpoint.store}",
            "Nothing was read",
            "'job-bridge token list' shows the owners in the other stores",
        )
    with open_group_store(settings) as store:
        stored, unusable = None, ""
        try:
            stored = store.load()
        except CheckpointUnusable as error:
            unusable = error.what
        membership = store.describe()
    if as_json:
        click.echo(json.dumps(_document(store.name, membership, stored), indent=1))
    else:
        _show(store.name, membership)
        _show_position(stored, unusable)
    return 0 if membership.owner else Retryable.exit_code


def _document(name: str, membership: Membership, stored: Checkpoint | None) -> dict[str, object]:
    """Return the answer as ``--json`` prints it; times are ISO 8601."""
    owner = membership.owner
    return {
        "name": name,
        "owner": _member(owner) if owner else None,
        "standbys": [_member(standby) for standby in membership.standbys],
        "position": stored.position.text if stored else None,
        "position_time": stored.position.cluster_time.isoformat() if stored else None,
        "lag_seconds": _lag(stored) if stored else None,
        "saved_at": iso(stored.saved_at) if stored else None,
    }


def _member(member: Member) -> dict[str, object]:
    return {"name": member.name, "since": iso(member.since) if member.since else None}


def _show(name: str, membership: Membership) -> None:
    owner, standbys = membership.owner, membership.standbys
    click.echo(f"{name}: {'an owner' if owner else 'no owner'}, {len(standbys)} standby(s)")
    if owner is not None:
        click.echo(f"  owner       {_described(owner)}")
    for standby in standbys:
        click.echo(f"  standby     {_described(standby)}")


def _show_position(stored: Checkpoint | None, unusable: str) -> None:
    if stored is None:
        click.echo(f"  position    {unusable or 'no position is stored'}")
        return
    click.echo(f"  position    {stored.position}, {_lag(stored):.0f} s ago")
    click.echo(f"  stored at   {iso(stored.saved_at)}")


def _described(member: Member) -> str:
    return member.name + (f", since {iso(member.since)}" if member.since else "")


def _lag(stored: Checkpoint) -> float:
    """Return the age of the position; an idle bridge stores one about every ten seconds."""
    return max(0.0, time.time() - stored.position.cluster_time.seconds)
