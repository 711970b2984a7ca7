"""``job-bridge config``: the settings, and the files for operators, without any server."""

import json
from collections.abc import Callable
from typing import Any

import click

from bridge.cli.output import json_option
from bridge.cli.runbook import section_of, whole_runbook
from bridge.cli.settings import Given, Settings, with_options
from bridge.errors import Misconfigured
from bridge.files import OperatorsFile
from bridge.settings.load import load_with_sources, warnings
from bridge.settings.problems import SettingsProblems
from bridge.settings.unused import unused

_EXAMPLES = {"job-bridge": OperatorsFile.EXAMPLE, "pipeline-jobs": OperatorsFile.PIPELINE_JOBS}
_RIGHTS = {"mongo": OperatorsFile.MONGODB_ROLES, "kafka": OperatorsFile.KAFKA_ACLS}


@click.group()
def config() -> None:
    """Print settings and files for operators, without servers."""


@config.command()
@click.argument("name", type=click.Choice(list(_EXAMPLES)), default="job-bridge")
def example(name: str) -> None:
    """Print a settings file.

    It contains every setting with its default, or the settings of a second collection.

    \b
    Example:
      job-bridge config example > job-bridge.toml
    """
    _print(_EXAMPLES[name])


@config.command()
@json_option("Print a JSON list.")
@with_options
def show(given: Given, as_json: bool) -> None:
    """Print each setting with its value and source.

    The value is the effective one. Secrets are hidden.

    \b
    Example:
      job-bridge config show --config job-bridge.toml
    """
    from bridge.cli.effective_settings import effective, table

    settings = effective(*load_with_sources(*given))
    if as_json:
        click.echo(json.dumps([setting._asdict() for setting in settings], indent=1))
    else:
        click.echo("\n".join(table(settings)))


@config.command()
@click.option("--strict", is_flag=True, help="Exit with 78 for warnings, too.")
@json_option("Print the result as JSON.")
@with_options
def validate(given: Given, strict: bool, as_json: bool) -> int:
    """Validate the settings, and the files they name.

    Exits 0 if they are valid, else 78. 'job-bridge check' also asks MongoDB and Kafka.

    \b
    Example:
      job-bridge config validate --strict --config job-bridge.toml
    """
    problems, remarks = _findings(given)
    refused = problems or (remarks if strict else [])
    if as_json:
        result = {"valid": not refused, "problems": problems, "warnings": remarks}
        click.echo(json.dumps(result, indent=1))
        return Misconfigured.exit_code if refused else 0
    for text in remarks:
        click.echo(f"warning: {text}")
    if problems:
        raise SettingsProblems(problems)
    if refused:
        raise Misconfigured(
            f"--strict refuses {len(refused)} warning(s)",
            "Nothing was read or sent",
            "Change these settings, or leave out --strict",
        )
    click.echo("the settings are valid; MongoDB and Kafka were not asked")
    return 0


@config.command()
@click.argument("server", type=click.Choice(list(_RIGHTS)))
def rights(server: str) -> None:
    """Print the script that grants the least rights.

    That for MongoDB is for mongosh, that for Kafka for a shell.

    \b
    Example:
      job-bridge config rights mongo > mongodb-role.js
      job-bridge config rights kafka > kafka-acls.sh
    """
    _print(_RIGHTS[server])


@config.command()
def alerts() -> None:
    """Print Prometheus' alerts.

    They need the recording rules.

    \b
    Example:
      job-bridge config alerts > alerts.yml
    """
    _print(OperatorsFile.ALERTS)


@config.command()
def rules() -> None:
    """Print Prometheus' recording rules.

    The alerts and the dashboard need them.

    \b
    Example:
      job-bridge config rules > recording-rules.yml
    """
    _print(OperatorsFile.RECORDING_RULES)


@config.command()
def dashboard() -> None:
    """Print Grafana's dashboard.

    \b
    Example:
      job-bridge config dashboard > job-bridge.json
    """
    _print(OperatorsFile.DASHBOARD)


@config.command()
def systemd() -> None:
    """Print systemd's template unit.

    It has an instance for each settings file.

    \b
    Example:
      job-bridge config systemd > /etc/systemd/system/job-bridge@.service
    """
    _print(OperatorsFile.SYSTEMD_UNIT)


@config.command()
@click.argument("section", default="")
def runbook(section: str) -> None:
    """Print the runbook, or a section of it.

    A section has the name of an alert, or the number of an exit code. Paths in brackets are pages
    in the repository.

    \b
    Example:
      job-bridge config runbook JobBridgeLag
      job-bridge config runbook 78
    """
    click.echo(section_of(section) if section else whole_runbook())


def _print(file: OperatorsFile) -> None:
    click.echo(file.text(), nl=False)


def _findings(given: Given) -> tuple[list[str], list[str]]:
    """Return the problems and the warnings that are known without a server."""
    remarks = warnings(given.options)
    try:
        settings, sources = load_with_sources(*given)
    except SettingsProblems as error:
        return error.problems, remarks
    except Misconfigured as error:
        return [error.what], remarks
    return _local_problems(settings), remarks + unused(settings, sources)


def _local_problems(settings: Settings) -> list[str]:
    """Return the problems of the profile, of the drivers and of the TLS files."""
    from bridge.kafka.drivers import driver_of
    from bridge.kafka.tls import check_files
    from bridge.model.profile import profile_of
    from bridge.mongo.client import check_connection_settings
    from bridge.observability.http_security import certificate_of

    checks: tuple[Callable[[], Any], ...] = (
        lambda: profile_of(settings),
        lambda: check_connection_settings(settings),
        lambda: driver_of(settings),
        lambda: check_files(settings.kafka),
        lambda: certificate_of(settings.http),
    )
    problems = []
    for check in checks:
        try:
            check()
        except Misconfigured as error:
            problems.append(f"{error.what}. {error.todo}" if error.todo else error.what)
    return [*dict.fromkeys(problems)]  # librdkafka's options are checked with the TLS files
