"""Writes the references of settings, commands, metrics and messages: ``make docs``.

A test compares the files with this script's output, so a file cannot differ from the code.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast, get_args, get_origin

import click
from annotated_types import Ge, Gt, Le
from prometheus_client.core import Metric
from pydantic import SecretStr

from bridge.app.lifecycle import State
from bridge.cli import main as command_line
from bridge.cli.settings import COMMON, INSECURE
from bridge.observability.certificates import Certificates
from bridge.observability.counters import Counters
from bridge.observability.metrics import GAUGES, INFO_LABELS, registry
from bridge.observability.snapshot import HealthState
from bridge.observability.status import Status
from bridge.settings.load import setting_names
from bridge.settings.names import option, variable
from docs.message_schemas import SCHEMAS

FOLDER = Path(__file__).parent / "reference"
_WIDTH = 118
_GENERATED = (
    "<!-- Made by 'make docs' from {source}; a test keeps it equal. "
    "Edit the code, not this page. -->"
)


def settings_page() -> str:
    """Every setting by section: description, default, values, and how it is given."""
    lines = [_GENERATED.format(source="bridge/settings"), "", "# Settings", ""]
    lines += _paragraph(
        "Settings come from four sources. A later source overrides an earlier one: the defaults, "
        "the TOML file (`--config FILE` or `JOB_BRIDGE_CONFIG=FILE`), the environment "
        "(`JOB_BRIDGE_SECTION_NAME`), and the options of the command line, which exist for the "
        "common settings. Unknown names are errors, and all errors are reported at once. "
        "[job-bridge.example.toml](../../config/job-bridge.example.toml) contains every setting "
        "with its default."
    )
    lines += _paragraph(
        "A secret may stand in a file: the variable with `_FILE` appended names the file, "
        "for example `JOB_BRIDGE_MONGO_PASSWORD_FILE=/run/secrets/mongo`."
    )
    section = ""
    for name, field in setting_names().items():
        if name.partition(".")[0] != section:
            section = name.partition(".")[0]
            lines += [f"## {section}", ""]
        lines += [f"### {name}", "", *_paragraph(_sentence(str(field.description)))]
        lines += _items(_facts(name, field))
    return _page(lines)


def commands_page() -> str:
    """Every command: its help, its own options, and an example."""
    lines = [_GENERATED.format(source="bridge/cli/"), "", "# Commands", ""]
    lines += _help(command_line)
    lines += ["## Common options", ""]
    lines += _paragraph(
        "Every command except `demo` accepts the settings file and the common settings as options."
    )
    common = ["`--config FILE`: the settings file, also `JOB_BRIDGE_CONFIG=FILE`"]
    common += [
        f"`{option(name)} VALUE`: [{name}](settings.md#{name.replace('.', '')})" for name in COMMON
    ]
    common += [f"`--insecure`: {INSECURE} It sets [mongo.insecure](settings.md#mongoinsecure)"]
    lines += _items(common)
    for name, command in _commands():
        lines += [f"## {name}", "", *_help(command)]
        lines += _usage(name, command)
        lines += _items(_options(name, command))
    return _page(lines)


def metrics_page() -> str:
    """Every metric: type, labels, help."""
    lines = [_GENERATED.format(source="bridge/observability/metrics.py"), "", "# Metrics", ""]
    lines += _paragraph(
        "`/metrics` serves them in the Prometheus text format. A gauge whose value is unknown is "
        "absent, never 0. [Alerts](../operations/alerts.md) lists the metrics to alert on. The "
        "process metrics of the Prometheus client are served too: `process_*` (Linux only) and "
        "`python_*`."
    )
    for family in _metrics():
        kind = "counter" if family.type == "counter" else family.type
        suffix = "_total" if kind == "counter" else ""
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        lines += [f"## {family.name}{suffix}", "", *_paragraph(_sentence(family.documentation))]
        lines += _items(
            [f"Type: {kind}"] + [f"Label: `{label}`{_values(family, label)}" for label in labels]
        )
    return _page(lines)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "metrics.md": metrics_page,
}


def _page(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _paragraph(text: str) -> list[str]:
    return [*_wrapped(text), ""]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _items(items: list[str]) -> list[str]:
    return [line for item in items for line in _wrapped(f"- {item}", "  ")] + [""] if items else []


def _sentence(text: str) -> str:
    """Add a capital letter and a full stop, unless it starts with a name in the code."""
    first, rest = text[:1], text[1:]
    word = text.split(" ", 1)[0].rstrip(",;:")
    plain = word.isalpha() and word not in ("host",)
    return f"{first.upper() if plain else first}{rest}".rstrip(".") + "."


def _facts(name: str, field: Any) -> list[str]:
    facts = [f"Default: {_shown(field.default)}", f"Values: {_allowed(field)}"]
    secret = field.annotation is SecretStr
    given = f"`{variable(name)}`" + (f" or `{variable(name)}_FILE`" if secret else "")
    facts.append(f"Environment: {given}")
    if name in COMMON:
        facts.append(f"Option: `{option(name)}`")
    return facts


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "empty" if default in ("", None) else f"`{default}`"


def _allowed(field: Any) -> str:
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if annotation is SecretStr:
        return "text, never shown in logs or errors"
    if annotation not in (int, float):
        return "text"
    words = ["integer" if annotation is int else "number"]
    for bound in field.metadata:
        if isinstance(bound, Gt):
            words = [word for word in words if word != "at least 0"] + [f"above {bound.gt}"]
        elif isinstance(bound, Ge):
            words.append(f"at least {bound.ge}")
        elif isinstance(bound, Le):
            words.append(f"at most {bound.le}")
    return ", ".join(words)


def _commands() -> Iterator[tuple[str, click.Command]]:
    def under(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            for inner in command.list_commands(click.Context(command)):
                found = command.get_command(click.Context(command), inner)
                assert found is not None
                yield from under(f"{name} {inner}", found)

    everything = under("job-bridge", command_line)
    next(everything)
    return everything


def _help(command: click.Command) -> list[str]:
    """The help text; paragraphs that click leaves as they are become code."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if not paragraph.startswith("\b"):
            lines += _paragraph(paragraph)
            continue
        body = paragraph.removeprefix("\b").strip("\n")
        first, _, rest = body.partition("\n")
        if rest and first.endswith(":"):
            lines += [first, ""]
            body = rest
        lines += ["```text", *textwrap.dedent(body).splitlines(), "```", ""]
    return lines


def _usage(name: str, command: click.Command) -> list[str]:
    """One line for a command with arguments; the others have options only."""
    context = click.Context(command, info_name=name)
    arguments = [part for part in command.params if isinstance(part, click.Argument)]
    pieces = [piece for part in arguments for piece in part.get_usage_pieces(context)]
    return [f"Arguments: `{' '.join(pieces)}`", ""] if pieces else []


def _options(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name)
    shared = {setting.replace(".", "_") for setting in COMMON} | {"config", "insecure"}
    items = []
    for parameter in command.params:
        if parameter.name in shared or not isinstance(parameter, click.Option):
            continue
        record = parameter.get_help_record(context)
        assert record is not None
        form, text = record
        items.append(f"`{form}`: {text}" if text else f"`{form}`")
    return items


def _metrics() -> Iterator[Metric]:
    """Collect the metrics of a bridge in which every value is known."""
    counters = Counters()
    counters.skip("example")
    snapshot = SimpleNamespace(
        counters=counters,
        gauges=lambda: dict.fromkeys(GAUGES, 0.0),
        state=State.RUNNING,
        about=dict.fromkeys(INFO_LABELS, "example"),
        health=HealthState(),
    )
    status = SimpleNamespace(snapshot=lambda: snapshot)
    certificates = SimpleNamespace(not_after=lambda: (("example", 0.0),))
    own = registry(cast(Status, status), [*State], cast(Certificates, certificates))
    for family in own.collect():
        if family.name.startswith("job_bridge_"):
            yield family


def _values(family: Metric, label: str) -> str:
    values = [sample.labels[label] for sample in family.samples if label in sample.labels]
    known = [value for value in dict.fromkeys(values) if value != "example"]
    return f" ({', '.join(f'`{value}`' for value in known)})" if known else ""


def write() -> None:
    """Write the pages and the schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in {**PAGES, **SCHEMAS}.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    write()
