"""``job-bridge status``: prints the state of a running bridge."""

import http.client
import json
from typing import Any

import click

from bridge.cli.settings import Settings, with_settings
from bridge.cli.status_client import read_status
from bridge.cli.times import iso
from bridge.errors import Retryable

#: The keys of a bridge's ``/status.json`` that are printed.
_KEYS = {
    "name",
    "version",
    "state",
    "ready",
    "reasons",
    "namespace",
    "topic",
    "driver",
    "mode",
    "notes",
    "position",
    "counters",
    "gauges",
    "restarts",
}
#: A bridge shows these to authenticated readers, or to all.
_NO_DETAILS = (
    "hosts, owners and causes are not shown: set http.username and http.password, or "
    "http.details = on"
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.option(
    "--group",
    is_flag=True,
    help="Ask Kafka, not a bridge: the owner, the standbys and the position. Exits 0 if there is "
    "an owner, else 75. Needs checkpoint.store = kafka.",
)
@with_settings
def status(settings: Settings, as_json: bool, group: bool) -> int:
    """Print the state of the bridge at http.host and http.port. Exits 0 if it is ready, else 75.

    \b
    Example:
      job-bridge status --http-port 9595
    """
    if group:
        from bridge.cli.group_status import group_status

        return group_status(settings, as_json)
    return _status_of_bridge(settings, as_json)


def _status_of_bridge(settings: Settings, as_json: bool) -> int:
    url = f"{settings.http.url(settings.http.port)}/status.json"
    try:
        document = read_status(settings.http)
        if not (isinstance(document, dict) and document.keys() >= _KEYS):
            raise ValueError("another program answers there")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Retryable(
            f"No bridge answers at {url}: {error}",
            "This does not mean that data was lost",
            "Check that the bridge runs, and check http.host and http.port",
        ) from None
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _show(document)
    return 0 if document["ready"] else Retryable.exit_code


def _show(document: dict[str, Any]) -> None:
    ready = "ready" if document["ready"] else "not ready: " + "; ".join(document["reasons"])
    click.echo(f"{document['name']} {document['version']}: {document['state']}, {ready}")
    click.echo(
        f"  {document['namespace']} to {document['topic']}, "
        f"driver {document['driver']}, mode {document['mode']}"
    )
    for note in document["notes"]:
        click.echo(f"  {note}")
    click.echo(f"  position    {document['position'] or 'not known yet'}")
    # Bridges of earlier versions do not report it.
    if ownership := document.get("ownership"):
        click.echo(f"  owner       {_owner(ownership)}")
    if not document.get("details", True):
        click.echo(f"  {_NO_DETAILS}")
    for group in ("counters", "gauges"):
        for name, value in document[group].items():
            if value is not None:
                click.echo(f"  {name.removeprefix('job_bridge_'):40} {_shown(name, value)}")
    for part, count in document["restarts"].items():
        click.echo(f"  {f'restarts by {part}':40} {count}")


def _owner(ownership: dict[str, Any]) -> str:
    owner = "this bridge" if ownership["is_us"] else ownership["owner"] or "not known"
    if ownership["since"] is not None:
        owner += f", since {iso(ownership['since'])}"
    if ownership["standbys"] is None:
        return owner
    return f"{owner}; standbys: {', '.join(ownership['standbys']) or 'none'}"


def _shown(name: str, value: float) -> str:
    if name.endswith("_timestamp_seconds"):
        return iso(value)
    return f"{value:.3f}".rstrip("0").rstrip(".")
