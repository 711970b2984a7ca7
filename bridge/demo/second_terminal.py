"""The settings and commands that the demo prints for a second terminal."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from bridge.hints import Hint


def try_it(settings: Mapping[str, str]) -> str:
    """Return the settings for a second terminal, and the commands to try there."""
    return "\n".join(
        [
            "to try other commands on this demo, paste into a second terminal:",
            *_path(),
            *(f"  export JOB_BRIDGE_{name}={shlex.quote(text)}" for name, text in settings.items()),
            f"then: {Hint.STATUS}; next: job-bridge tail --count 5; {Hint.VERIFY}",
        ]
    )


def _path() -> list[str]:
    """Return the line that puts the command on the path, where it is not."""
    folder = Path(sys.executable).parent
    if shutil.which("job-bridge") or not (folder / "job-bridge").exists():
        return []
    return [f'  export PATH={shlex.quote(str(folder))}:"$PATH"']
