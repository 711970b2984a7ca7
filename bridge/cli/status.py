"""``job-bridge status``: prints the state of a running bridge."""

import json
import sys
from threading import Event
from time import time
from typing import Any

import click

from bridge.app.signals import on_stop
from bridge.cli.output import json_option
from bridge.cli.settings import CHECKPOINT, KAFKA, Settings, with_settings_of
from bridge.cli.status_client import read_status
from bridge.cli.times import with_iso_times
from bridge.clock import iso
from bridge.errors import Retryable, Usage, one_line
from bridge.logs.recent_warnings import LogText

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
_WATCH_SECONDS = 2.0
_MAX_WARNINGS = 5


@click.command()
@json_option("Print the whole answer as JSON, with times as ISO 8601.")
@click.option(
    "--group",
    is_flag=True,
    help="Ask Kafka, not a bridge: the owner, the standbys and the position. Exits 0 if there is "
    "an owner, else 75. Needs checkpoint.store = kafka.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Print the state again every 2 seconds, until Ctrl-C; with --json a line each. "
    "The exit code is that of the last state.",
)
@with_settings_of("http.", "mongo.database", "mongo.collection", *KAFKA, *CHECKPOINT)
def status(settings: Settings, as_json: bool, group: bool, watch: bool) -> int:
    """Print the state of the bridge at http.host and http.port. Exits 0 if it is ready, else 75.

    \b
    Example:
      job-bridge status --http-port 9595 --watch
    """
    if watch and group:
        raise Usage("--watch and --group: give only one")
    if watch:
        return _watch(settings, as_json)
    if group:
        from bridge.cli.group_status import group_status

        return group_status(settings, as_json)
    return _status_of_bridge(settings, as_json)


def _watch(settings: Settings, as_json: bool) -> int:
    """Print the state every two seconds until a signal; return the exit code of the last."""
    stop = Event()
    with on_stop(stop.set):
        code = _status_of_bridge(settings, as_json, clears=True)
        while not stop.wait(_WATCH_SECONDS):
            try:
                code = _status_of_bridge(settings, as_json, clears=True)
            except Retryable as error:
                click.echo(f"job-bridge: {error}", err=True)
                code = error.exit_code
    return code


def _status_of_bridge(settings: Settings, as_json: bool, *, clears: bool = False) -> int:
    document = read_status(settings.http, _KEYS)
    if clears and not as_json:
        # A terminal shows the latest state only; a file contains each, with its time.
        if sys.stdout.isatty():
            click.clear()
        click.echo(iso(time()))
    if as_json:
        click.echo(json.dumps(with_iso_times(document), indent=None if clears else 1))
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
    # Bridges of earlier versions do not report these.
    details = document.get("details", True)
    if ownership := document.get("ownership"):
        click.echo(f"  owner       {_owner(ownership, details=details)}")
    if not details:
        click.echo(f"  {_NO_DETAILS}")
    for group in ("counters", "gauges"):
        for name, value in document[group].items():
            if value is not None:
                click.echo(f"  {name.removeprefix('job_bridge_'):40} {_shown(name, value)}")
    for part, count in document["restarts"].items():
        click.echo(f"  {f'restarts by {part}':40} {count}")
    # Bridges of earlier versions do not report them.
    for warning in document.get("warnings", [])[:_MAX_WARNINGS]:
        text = LogText(warning["text"], f" {warning['details']}".rstrip(), todo=warning["todo"])
        line = one_line(f"{warning['level']}: {text}")
        click.echo(f"  {iso(warning['last'])} {line}")


def _owner(ownership: dict[str, Any], *, details: bool) -> str:
    hidden = "not known" if details else "not shown"
    owner = "this bridge" if ownership["is_us"] else ownership["owner"] or hidden
    if ownership["since"] is not None:
        owner += f", since {iso(ownership['since'])}"
    if ownership["standbys"] is None:
        return owner
    return f"{owner}; standbys: {', '.join(ownership['standbys']) or 'none'}"


def _shown(name: str, value: float) -> str:
    if name.endswith("_timestamp_seconds"):
        return iso(value)
    return f"{value:.3f}".rstrip("0").rstrip(".")
