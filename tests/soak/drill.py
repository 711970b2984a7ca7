"""The upgrade drill: ``python -m tests.soak.drill``.

Under a steady load, a former version and the working tree deliver in turn with one checkpoint; each
is stopped cleanly. Then the topic is compared with the jobs: nothing may be lost, out of order or
repeated. The load is that of a service whose writes both versions understand.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tests.support.bridge_process import COMMAND, BridgeProcess
from tests.support.checkout import checked_out
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    DeliveryCase,
)
from tests.support.fault_scenario import FaultScenario, Setting
from tests.support.read_back import topic_contents, wait_for_all
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Workload

CASES = (AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
#: The commit of the last release, 0.2.0, which a clone without tags has too.
LAST_RELEASE = "ec344dee762ab22becb7f5785448550c44404972"
#: Settings of :class:`BridgeProcess` that a former version may not know.
NEWER_SETTINGS = ("http.details",)


def installed(former: Path) -> Path:
    """Install a checkout with its own dependencies; returns the folder of the packages."""
    packages = former / ".packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages)]
    if subprocess.run([*pip, f"{former}[librdkafka]"]).returncode:
        raise click.ClickException("pip cannot install the former version, so nothing was run")
    return packages


def versions(scenario: FaultScenario) -> tuple[BridgeProcess, BridgeProcess]:
    """The former version and this one; they share the checkpoint."""
    old, new = scenario.bridge(), scenario.bridge()
    for name in NEWER_SETTINGS:
        old.settings.pop(name, None)
    return old, new


def drill(scenario: FaultScenario, former: Path, turns: int, commits: int) -> None:
    """Let the versions take turns, the former first; this one delivers the rest."""
    old, new = versions(scenario)
    command = ("tests.soak.former_version", str(former), *COMMAND[1:])
    # Its first start stores the position after which every transition counts.
    old.start(command).wait_ready()
    assert old.stop() == 0
    with scenario.load(Workload(rate=100, concurrency=16, error_share=0.4)) as load:
        for turn in range(turns):
            bridge = new if turn % 2 else old
            bridge.start(COMMAND if turn % 2 else command).wait_ready()
            load.await_commits(commits)
            assert bridge.stop() == 0, f"turn {turn + 1} did not end cleanly"
            click.echo(f"turn {turn + 1}: {'this version' if turn % 2 else 'the former version'}")
            # Some transitions wait for the next version.
            load.await_commits(commits // 4)
    new.start().wait_ready()
    wait_for_all(scenario)
    assert new.stop() == 0


def run_case(
    case: DeliveryCase,
    servers: tuple[MongoDeployment, Kafka],
    former: Path,
    turns: int,
    commits: int,
) -> bool:
    """Drill one driver; whether nothing was lost, out of order or repeated."""
    topic, (mongo, kafka) = f"drill-{case.driver}", servers
    kafka.create_topic(topic)
    kafka.create_topic(f"{topic}-dlq", partitions=1)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        setting = Setting(mongo, kafka, f"database-{topic}", topic, Path(folder))
        with FaultScenario(setting, case) as scenario:
            drill(scenario, former, turns, commits)
            contents = topic_contents(scenario)
    lost, reordered, repeated = len(contents.lost), len(contents.reordered), contents.repeated
    click.echo(
        f"{case.driver}: {len(contents.copies)} committed, {lost} lost, {reordered} out of order, "
        f"{repeated} repeated"
    )
    return not (lost or reordered or repeated)


@click.command()
@click.option(
    "--ref",
    default=LAST_RELEASE,
    show_default="the last release",
    help="The former version, a tag or a commit.",
)
@click.option("--turns", default=6, show_default=True, help="Turns, each with a clean stop.")
@click.option("--commits", default=300, show_default=True, help="Transitions in each turn.")
def main(ref: str, turns: int, commits: int) -> None:
    """Print the counts of each driver; exit code 1 if any fault was found."""
    with checked_out(ref) as former:
        packages = installed(former)
        with (
            tempfile.TemporaryDirectory(prefix="drill-servers-") as folder,
            MongoDeployment(Path(folder) / "mongod") as mongo,
            Kafka(Path(folder) / "kafka") as kafka,
        ):
            well = [run_case(case, (mongo, kafka), packages, turns, commits) for case in CASES]
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
