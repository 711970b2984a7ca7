"""``job-bridge status``: what a running bridge says of itself."""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime, timezone

import click

from bridge.cli.settings import Settings, with_settings
from bridge.errors import Retryable

#: What ``/status.json`` of a bridge has, as far as it is shown.
_TOLD = {
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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="everything, as /status.json gives it")
@with_settings
def status(settings: Settings, as_json: bool) -> int:
    """Ask the bridge at http.host and http.port how it is. Exits 0 when it is ready, else 75.

    \b
    Example:
      job-bridge status --http-port 9595
    """
    url = f"{settings.http.url(settings.http.port)}/status.json"
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # a proxy of the environment is for other hosts
    try:
        with direct.open(url, timeout=5) as response:
            document = json.load(response)
        if not (isinstance(document, dict) and document.keys() >= _TOLD):
            raise ValueError("something else does")
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Retryable(
            f"No bridge answers at {url}: {reason}",
            "This says nothing about the data",
            "Check that it runs, and http.host and http.port",
        ) from None
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _show(document)
    return 0 if document["ready"] else Retryable.exit_code


def _show(document: dict[str, object]) -> None:
    ready = "ready" if document["ready"] else "not ready: " + "; ".join(document["reasons"])  # type: ignore[arg-type]
    click.echo(f"{document['name']} {document['version']}: {document['state']}, {ready}")
    click.echo(
        f"  {document['namespace']} to {document['topic']} by {document['driver']}, {document['mode']}"
    )
    for note in document["notes"]:  # type: ignore[attr-defined]
        click.echo(f"  {note}")
    click.echo(f"  position    {document['position'] or 'none yet'}")
    for group in ("counters", "gauges"):
        for name, value in document[group].items():  # type: ignore[attr-defined]
            if value is not None:
                click.echo(f"  {name.removeprefix('job_bridge_'):40} {_shown(name, value)}")
    for part, count in document["restarts"].items():  # type: ignore[attr-defined]
        click.echo(f"  {f'restarts by {part}':40} {count}")


def _shown(name: str, value: float) -> str:
    if name.endswith("_timestamp_seconds"):
        return datetime.fromtimestamp(value, timezone.utc).isoformat(timespec="seconds")
    return f"{value:.3f}".rstrip("0").rstrip(".")
