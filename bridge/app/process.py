"""The operating-system process: signals, HTTP server, verification, exit code."""

import logging
from contextlib import nullcontext
from dataclasses import replace

from bridge import __version__
from bridge.app.bridge import Bridge
from bridge.app.health import Health
from bridge.app.lifecycle import State
from bridge.app.plain_text import warn_of_plain_text
from bridge.app.service_manager import ServiceManager
from bridge.app.signals import on_stop
from bridge.app.wait_reporter import WaitReporter
from bridge.clock import Clock, SystemClock
from bridge.errors import AddressInUse
from bridge.hints import exit_fields
from bridge.model.profile import namespace_of
from bridge.observability.certificates import Certificates
from bridge.observability.http_security import certificate_of, guard_of
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.observability.status import LatestVerification, Status
from bridge.settings import Settings
from bridge.verification.scheduler import VerificationScheduler

logger = logging.getLogger("bridge")


class Process:
    """Runs a bridge as ``job-bridge run`` does."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, *, until_now: bool = False
    ) -> None:
        self._settings = settings
        clock = clock or SystemClock()
        self._clock = clock
        self._until_now = until_now
        self.bridge = Bridge(settings, clock, until_now=until_now)
        self._waits = WaitReporter(self.bridge, clock, settings.delivery.drain_seconds)
        self._verification = LatestVerification()
        self._health = Health(settings, self.bridge, clock)
        self.status = Status(
            self.bridge,
            self._health,
            clock,
            about=self._about(),
            verification=self._verification,
        )

    def run(self) -> int:
        """Work until stopped; return the exit code. Raises the ``BridgeError`` that ended it."""
        manager = ServiceManager(self.bridge, self.status, self._clock)
        scheduler = VerificationScheduler(self._settings, self.status, self._verification)
        with (
            self._waits,
            on_stop(self.bridge.request_stop, self.bridge.pause),
            self._http_server() as server,
            self._health,
            scheduler,
            manager,
        ):
            self._log_start(server)
            warn_of_plain_text(self._settings)
            outcome = self.bridge.run()
            if self._until_now:
                outcome = replace(outcome, lost=self.bridge.counters.lost)
        logger.log(
            logging.WARNING if outcome.exit_code else logging.INFO,
            "stopped: %s",
            outcome,
            extra=exit_fields(outcome.exit_code),
        )
        return outcome.exit_code

    def _http_server(self) -> HttpServer | nullcontext[None]:
        """Return the server; none if a run that ends by itself finds its address in use.

        Else it could not run beside another process, and would not learn that a bridge runs.
        """
        http = self._settings.http
        try:
            return HttpServer(
                http.host,
                http.port,
                self.status,
                registry=registry(self.status, [*State], Certificates(self._settings)),
                guard=guard_of(http),
                certificate=certificate_of(http),
            )
        except AddressInUse as error:
            if not self._until_now:
                raise
            logger.warning(
                "%s. Delivery does not need it: this run has no status page and no metrics. "
                "Set http.port to serve them",
                error.what,
            )
            return nullcontext()

    def _about(self) -> dict[str, str]:
        return {
            "namespace": namespace_of(self._settings),
            "topic": self._settings.kafka.topic,
            "driver": str(self.bridge.driver),
            "mode": self._settings.delivery.mode,
        }

    def _log_start(self, server: HttpServer | None) -> None:
        about = self._about()
        http = self._settings.http
        status = f"status at {http.url(server.port)}" if server else "no status page"
        logger.info(
            "job-bridge %s: %s to topic %s by %s, %s, checkpoint in %s; %s",
            __version__,
            about["namespace"],
            about["topic"],
            about["driver"],
            about["mode"],
            self.bridge.store.where,
            status,
        )
