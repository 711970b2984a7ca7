"""The settings of the HTTP server."""

from typing import Annotated

from pydantic import Field

from bridge.settings.section import Section


class HttpSettings(Section):
    """The HTTP server for health and metrics."""

    host: str = Field(
        "127.0.0.1",
        description="Address of /metrics, /livez, /readyz and /status.json. "
        "They do not require a password.",
        min_length=1,
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9595, description="Port of the HTTP server. 0: any free port, which the log names."
    )

    def url(self, port: int) -> str:
        """Return the URL of ``port`` on this host; brackets surround an IPv6 address."""
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"
