"""``job-bridge init``: proposes the settings for a collection, and writes their file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.output import dry_run_option, json_option
from bridge.cli.settings import COMMON, Settings, with_settings_of
from bridge.errors import Misconfigured, NotFound, Usage
from bridge.hints import Hint
from bridge.settings.names import option
from bridge.settings.schema import PROFILE_SETTINGS

if TYPE_CHECKING:  # imported late: the clients would slow down the help
    from bridge.cli.init_report import Report
    from bridge.model.detection.proposal import Proposal

_MAX_SAMPLE = 2000
_ALWAYS = ("mongo.uri", "mongo.database", "kafka.bootstrap_servers", "kafka.topic")
#: Fields that a collection may lack; an empty option says so.
_OPTIONAL = ("transitions_field", "archive_field", "updated_field")


def _with_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting that the command proposes."""
    for name in reversed(PROFILE_SETTINGS):
        setting = f"jobs.{name}"
        empty = " Empty: there is no such field." if name in _OPTIONAL else ""
        command = click.option(
            option(setting),
            name,
            metavar="FIELD",
            help=f"Use this field instead of the proposed {setting}.{empty}",
        )(command)
    return command


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="job-bridge.toml",
    show_default=True,
    help="The settings file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@dry_run_option("Print the file, and write nothing.")
@click.option(
    "--sample",
    "count",
    type=click.IntRange(1, _MAX_SAMPLE),
    default=200,
    show_default=True,
    help="How many documents to read: half of them the newest, half of them random.",
)
@json_option(
    "Print a JSON object: the sample, the candidates, the settings, what is undecided, the "
    "findings of 'check', and the exit code."
)
@_with_fields
@with_settings_of(*COMMON)  # the fields of the jobs are proposed, and checked then
def init(
    settings: Settings,
    output: Path,
    force: bool,
    dry_run: bool,
    count: int,
    as_json: bool,
    **fields: str | None,
) -> int:
    """Write a settings file, by a sample of the jobs.

    Reads some documents of mongo.collection, proposes the fields of the profile with the evidence
    for each, checks what 'check' checks (Kafka if kafka.* is given), and writes the file. It shows
    names and types of fields, never their values, and asks nothing: an option or a setting
    overrides a proposal. Secrets are not written.

    Exits 78 if a setting is undecided and 66 if there are no documents; both say what to set, and
    write nothing. If a check fails, the file is written and the exit code is that of 'check'.

    \b
    Example:
      job-bridge init --mongo-database shop --mongo-collection jobs --dry-run
    """
    from bridge.app.job_collection import sample_jobs
    from bridge.cli.init_report import Report
    from bridge.model.detection.proposal import propose

    if not dry_run:
        _admit_output(output, force)
    sample = sample_jobs(settings, count)
    proposal = propose(sample.documents, _given(settings, fields), sample.indexes)
    report = Report(settings, sample, proposal)
    if proposal.undecided:
        return _undecided(report, proposal, as_json)
    _complete(report, settings, proposal)
    if not dry_run:
        from bridge.settings.new_settings_file import write_settings

        write_settings(output, report.text, force=force)
        report.file = str(output)
    _check(report)
    report.show(as_json=as_json)
    return report.exit_code


def _admit_output(output: Path, force: bool) -> None:
    from bridge.settings.new_settings_file import admit_target

    admit_target(output, force=force)
    config = click.get_current_context().params.get("config")
    if config and output.exists() and Path(config).samefile(output):
        raise Usage(
            f"{output} is the file that --config reads; its comments and secrets would be lost",
            "Nothing was written",
            "Name another file by --output",
        )


def _given(settings: Settings, fields: Mapping[str, str | None]) -> dict[str, str]:
    """Return the fields that a person has decided, by options or by settings."""
    from bridge.model.detection.proposal import shipped_settings

    given: dict[str, str] = {}
    jobs = settings.jobs
    if jobs.profile == "custom":
        names = jobs.model_fields_set & set(PROFILE_SETTINGS)
        given = {name: getattr(jobs, name) or "" for name in names} | {"profile": "custom"}
    elif "profile" in jobs.model_fields_set:
        given = shipped_settings(jobs.profile)
    return {**given, **{name: value for name, value in fields.items() if value is not None}}


def _undecided(report: "Report", proposal: "Proposal", as_json: bool) -> int:
    """Report what a person has to decide; return or raise the exit code."""
    options = " ".join(
        f"{option(f'jobs.{undecided.setting}')} {undecided.value}"
        for undecided in proposal.undecided
    )
    kind = Misconfigured if report.sample.documents else NotFound
    names = ", ".join(f"jobs.{undecided.setting}" for undecided in proposal.undecided)
    report.exit_code = kind.exit_code
    report.show(as_json=as_json)
    if as_json:
        return report.exit_code
    raise kind(
        f"The sample does not decide {names}",
        "Nothing was written",
        f"Run '{Hint.INIT}' again with {options}",
    )


def _complete(report: "Report", settings: Settings, proposal: "Proposal") -> None:
    """Make the text of the file, and the settings that it gives."""
    from bridge.model.profile import profile_of
    from bridge.settings.new_settings_file import (
        overridden,
        secrets_left_out,
        settings_text,
        validated,
    )

    collection = report.collection
    mongo = settings.mongo.model_copy(update={"collection": collection})
    found = settings.model_copy(update={"mongo": mongo})
    header = (
        f"Settings of job-bridge for {report.namespace}, written by '{Hint.INIT}'.",
        "All other settings have their defaults; 'job-bridge run --help' names the common ones.",
    )
    jobs = proposal.settings
    report.text = settings_text(found, jobs, header=header, always=_ALWAYS)
    secrets = secrets_left_out(settings)
    report.secrets = sorted(secrets)
    # A problem of a field is named as its option.
    fields = {f"jobs.{name}": value for name, value in jobs.items() if name != "profile"}
    loaded = validated(report.text, {**secrets, **fields})
    profile_of(loaded)
    report.overridden = list(overridden(report.text, secrets, os.environ))
    report.settings = found.model_copy(update={"jobs": loaded.jobs})


def _check(report: "Report") -> None:
    """Check everything that 'check' checks; Kafka only if it was given."""
    from bridge.app.preflight import preflight
    from bridge.cli.check import first_failure

    report.checks_kafka = bool(report.settings.kafka.model_fields_set)
    without = () if report.checks_kafka else ("kafka",)
    report.findings = preflight(report.settings, without=without)
    report.exit_code = first_failure(report.findings)
