"""The status page of running bridges in Chromium: each state comes about on real servers."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from bson import Timestamp
from playwright.sync_api import Browser, Page, expect

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeScenario
from tests.support.backlog import load
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONE_DELIVERY, SYNCHRONOUS
from tests.support.fault_scenario import FaultScenario
from tests.support.servers.chromium import chromium
from tests.support.servers.mongo import MongoDeployment
from tests.support.small_oplog import roll_past

pytestmark = ONE_DELIVERY
JOBS, TRANSITIONS = 1000, 4
AHEAD_SECONDS = 7200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=60_000)
    with chromium() as browser:
        yield browser


@contextmanager
def opened(browser: Browser, bridge: BridgeProcess) -> Iterator[Page]:
    """Open the page of a bridge, once; fails for each error in its console."""
    errors: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{bridge.settings['http.port']}/")
        yield page
    assert errors == []


def on_a_port(scenario: FaultScenario) -> BridgeProcess:
    return scenario.bridge(http__port=str(free_port()))


def shows(page: Page, verdict: str | re.Pattern[str], **parts: str) -> None:
    """Wait for a verdict and for patterns in other parts, and let axe look at the page."""
    expect(page.locator("#verdict")).to_have_text(verdict)
    for part, pattern in parts.items():
        expect(page.locator(f"#{part}")).to_contain_text(re.compile(pattern))
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def lists(page: Page, job_id: str, *states: str) -> None:
    """Wait for the transitions of the only job, the latest first."""
    expected = [re.compile(rf"\d+Z? job {job_id}: {state}$") for state in reversed(states)]
    expect(page.locator("#transitions li")).to_have_text(expected)


def pass_hours(scenario: FaultScenario) -> None:
    """Advance the cluster time, as if the latest write came hours after those before it."""
    later = {
        "clusterTime": Timestamp(int(time.time()) + AHEAD_SECONDS, 1),
        # Checked only where there are users.
        "signature": {"hash": bytes(20), "keyId": 0},
    }
    with scenario.client.start_session() as session:
        session.advance_cluster_time(later)
        scenario.client["junk"]["junk"].insert_one({}, session=session)


def test_kafka_goes_away_and_returns(
    browser: Browser, make_scenario: MakeScenario, mongo: MongoDeployment
) -> None:
    """Beside the page of a standby, which names the owner."""
    scenario = make_scenario(mongo)
    bridge = on_a_port(scenario).start().wait_ready()
    standby = on_a_port(scenario).start().wait_unready("standby: ")
    jobs = scenario.jobs()
    job_id = jobs.insert()
    with opened(browser, bridge) as page, opened(browser, standby) as other:
        shows(page, "Transitions reach Kafka")
        shows(
            other, "Standby: another bridge owns the checkpoint", owner=f"process {bridge.pid} on"
        )
        lists(page, job_id, "created")
        with scenario.kafka_paused():
            jobs.advance(job_id, "download_submitted")
            shows(page, "Transitions do not reach Kafka now")
            lists(page, job_id, "created")
        shows(page, "Transitions reach Kafka")
        lists(page, job_id, "created", "download_submitted")

    assert scenario.published_states(job_id) == ["created", "download_submitted"]
    assert standby.stop() == 0
    scenario.finish(bridge).check(repeated_at_most=0, at_least=2)


def test_a_gap_and_a_backlog(
    browser: Browser, make_scenario: MakeScenario, forgetful: MongoDeployment
) -> None:
    """Both last for several updates of the page: each message waits for the one before it."""
    scenario = make_scenario(forgetful, SYNCHRONOUS)
    bridge = on_a_port(scenario).start().wait_ready()
    scenario.jobs().insert()
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    load(scenario.mongo.uri, scenario.database, JOBS, TRANSITIONS)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    bridge.start().wait_unready("recovering from")
    with opened(browser, bridge) as page:
        shows(page, "Recovering a gap", work=r"of 1,\d+ jobs, ETA")
        shows(page, "Transitions reach Kafka", work="Recovery *not running")

        bridge.send_signal(signal.SIGUSR1)
        expect(page.locator("#verdict")).to_have_text("Paused by an operator")
        load(scenario.mongo.uri, scenario.database, JOBS, TRANSITIONS)
        pass_hours(scenario)
        shows(page, "Paused by an operator", lag="In all *2 h")
        bridge.send_signal(signal.SIGUSR2)
        # The jump of the clock has used up the oplog, which the verdict adds.
        shows(page, re.compile("^Catching up"))
        shows(page, "Transitions reach Kafka", lag="In all *0 s")

    scenario.finish(bridge).check(repeated_at_most=0, at_least=2 * JOBS * TRANSITIONS)
