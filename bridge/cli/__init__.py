"""The command line: one file a command."""

import logging
import sys
from typing import Any

import click

from bridge import __version__
from bridge.cli.check import check
from bridge.cli.deadletters import dead_letters
from bridge.cli.demo import demo
from bridge.cli.notify import notify
from bridge.cli.replay import replay
from bridge.cli.run import run
from bridge.cli.status import status
from bridge.cli.sweep import sweep
from bridge.cli.tail import tail
from bridge.cli.token import token
from bridge.cli.topics import topics
from bridge.cli.verify import verify
from bridge.errors import BridgeError, Usage

BUG = BridgeError.exit_code


class _Group(click.Group):
    """Maps errors to one line and an exit code; usage errors are 64, not click's 2."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        options["standalone_mode"] = False
        try:
            code = super().main(*arguments, **options)
        except click.exceptions.Abort:
            sys.exit(130)
        except click.ClickException as error:
            error.show()
            sys.exit(Usage.exit_code)
        except BridgeError as error:
            click.echo(f"job-bridge: {error.title}: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(0)
        except Exception:
            logging.getLogger("bridge").exception(
                "this is a bug: nothing is lost, the next start goes on from the last stored position"
            )
            sys.exit(BUG)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="job-bridge")
def main() -> None:
    """Tell Kafka of every state transition of a job in MongoDB.

    \b
    Settings come from a TOML file (--config), JOB_BRIDGE_SECTION_NAME in the
    environment, and options, the later the stronger. Secrets may be in files:
    JOB_BRIDGE_MONGO_PASSWORD_FILE=/run/secrets/mongo.

    \b
    Exit codes: 0 clean, 64 usage, 70 bug, 75 try again, 76 another bridge took
    over, 77 not permitted, 78 configuration, 80 history lost, 82 poison event,
    83 checkpoint unusable.
    """


for command in (run, check, status, tail, verify, replay, notify, sweep, dead_letters, token, topics, demo):
    main.add_command(command)
