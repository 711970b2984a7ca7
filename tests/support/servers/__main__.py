"""Fetches the chosen mongod, then becomes the command in its arguments, which runs it."""

from __future__ import annotations

import os
import sys

from tests.support.servers.cache import FetchError
from tests.support.servers.versions import UnknownVersion, use_chosen_servers


def main(command: list[str]) -> None:
    try:
        use_chosen_servers()
    except (FetchError, UnknownVersion) as error:
        sys.exit(str(error))
    if command:
        os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
