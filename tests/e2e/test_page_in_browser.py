"""The status page in headless Chromium: five states, accessibility, hostile values, updates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import Poison, Transition
from bridge.observability.http_server import HttpServer
from bridge.observability.snapshot import Verified
from tests.support.factories import checkpoint, delivery, transition
from tests.support.page_states import PicturedBridge, pictured
from tests.support.servers.chromium import chromium

VERDICTS = {
    "fine": "Transitions reach Kafka",
    "catching-up": "Catching up",
    "kafka-unreachable": "Transitions do not reach Kafka now",
    "recovering": "Recovering a gap",
    "standby": "Standby: another bridge owns the checkpoint",
}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=60_000)
    with chromium() as browser:
        yield browser


@contextmanager
def opened(
    browser: Browser,
    server: HttpServer,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1000,
) -> Iterator[Page]:
    """Open the page, and fail for each error in its console."""
    errors: list[str] = []
    with browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}
    ) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        expect(page.locator("#updated")).to_contain_text("Updated")
        yield page
    assert errors == []


def shows(page: Page, verdict: str, kind: str) -> None:
    expect(page.locator("#verdict")).to_have_text(verdict)
    expect(page.locator("#state")).to_have_class(kind)


@pytest.mark.parametrize("state", VERDICTS)
def test_each_state_is_accessible(browser: Browser, state: str) -> None:
    """On a wide light screen and a dark phone, which needs no scrolling to the side."""
    with pictured(state).served() as server:
        with opened(browser, server) as page:
            expect(page.locator("#verdict")).to_have_text(VERDICTS[state])
            wide = Axe().run(page)
        with opened(browser, server, "dark", 360) as page:
            phone = Axe().run(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360

    for results in (wide, phone):
        assert results.violations_count == 0, results.generate_report()


def test_hostile_values_stay_text(browser: Browser) -> None:
    bridge = PicturedBridge()
    bridge.bridge.store.name = HOSTILE
    bridge.warn(HOSTILE, 1, details=HOSTILE)
    items: tuple[Transition | Poison, ...] = (
        transition(1, HOSTILE, HOSTILE),
        Poison(HOSTILE, "job-7", "x"),
    )
    for number, item in enumerate(items):
        settled = delivery(number)
        settled.item = item
        bridge.bridge.recent.add([settled])

    with bridge.served() as server, opened(browser, server) as page:
        for name in ("#name", "#warnings", "#transitions"):
            expect(page.locator(name)).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0


def test_invisible_characters_are_escaped(browser: Browser) -> None:
    """U+202E in a job id would turn the state around."""
    bridge = PicturedBridge()
    settled = delivery(1)
    settled.item = transition(1, "job\u202e-1", "created")
    bridge.bridge.recent.add([settled])
    with bridge.served() as server, opened(browser, server) as page:
        expect(page.locator("#transitions li")).to_contain_text("job job\\u202e-1: created")


def test_exceptions_are_not_green(browser: Browser) -> None:
    """Each transition that is not in the topic is counted, with what to do."""
    bridge = PicturedBridge()
    with bridge.served() as server, opened(browser, server) as page:
        state = page.locator("#state")
        expect(state).to_have_class("good")
        bridge.bridge.counters.dead_lettered = 1009
        shows(page, "Transitions reach Kafka, except 1,009 dead-lettered", "wait")
        expect(state).to_contain_text("'job-bridge dead-letters list' shows them")
        bridge.bridge.counters.lost = 2
        shows(page, "Transitions reach Kafka, except 2 lost, 1,009 dead-lettered", "bad")

        bridge.bridge.counters.lost = bridge.bridge.counters.dead_lettered = 0
        moment = bridge.clock.monotonic()
        bridge.verification.complete(Verified(bridge.now, 3, 0, 0, 4), moment)
        shows(page, "Transitions reach Kafka, except 3 missing, 4 wrong", "bad")
        bridge.verification.complete(Verified(bridge.now, 0, 1, 1, 0), moment)
        shows(page, "Transitions reach Kafka", "good")


def test_the_headroom_is_that_of_the_alerts(browser: Browser) -> None:
    """It is that of the stored checkpoint, although everything is settled."""
    bridge = PicturedBridge()
    stored = position_before(ClusterTime(bridge.now - 80_000))
    bridge.bridge.stored = replace(checkpoint(), position=stored)
    with bridge.served() as server, opened(browser, server) as page:
        shows(page, "Transitions reach Kafka; 7 % of the oplog left", "bad")
        expect(page.locator("#headroom-text")).to_contain_text("7 %: 107 min left")


def test_a_standby_without_kafka_is_bad(browser: Browser) -> None:
    bridge = pictured("standby")
    with bridge.served() as server, opened(browser, server) as page:
        bridge.health.report(kafka_up=False, reasons=("Kafka does not answer",))
        shows(page, "Standby that cannot take over now", "bad")


def test_a_single_sample_is_drawn(browser: Browser) -> None:
    bridge = PicturedBridge()
    bridge.silent_seconds = math.inf
    with bridge.served() as server, opened(browser, server) as page:
        now = bridge.clock.now()
        bridge.bridge.counters.acknowledge([now - 0.02] * 5, now)
        expect(page.locator("#latency-text")).to_contain_text("Median")
        length = page.evaluate("document.querySelector('#latency polyline').getTotalLength()")
        assert length > 0


def test_a_refused_reader_connects_again(browser: Browser) -> None:
    """The page of a server that is full, as the 51st reader of /events."""
    bridge = pictured("fine")
    with bridge.served() as server, browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.route("**/events", lambda route: route.fulfill(status=503))
        page.goto(f"http://127.0.0.1:{server.port}/")
        expect(page.locator("#feed")).to_contain_text("Not connected")
        page.unroute("**/events")
        expect(page.locator("#transitions li")).to_have_count(20)
        expect(page.locator("#feed")).to_be_empty()


def test_a_verification_shows_its_eta(browser: Browser) -> None:
    with pictured("fine").served() as server, opened(browser, server) as page:
        expect(page.locator("#work")).to_contain_text(re.compile(r"running for 3\d.* s, ETA [67]"))


def test_the_page_updates_itself(browser: Browser) -> None:
    bridge = pictured("fine")
    with bridge.served() as server, opened(browser, server) as page:
        settled = delivery(99)
        settled.item = transition(99, "job-99", "terminated")
        bridge.bridge.recent.add([settled])
        expect(page.locator("#transitions li").first).to_contain_text("job job-99: terminated")

        bridge.bridge.state = "draining"
        expect(page.locator("#verdict")).to_have_text("Stopping")
        assert page.title() == "Stopping: ee2-jobs"


def test_an_empty_list_says_so(browser: Browser) -> None:
    with pictured("standby").served() as server, opened(browser, server) as page:
        for name in ("#warnings", "#transitions"):
            expect(page.locator(name)).to_be_empty()
            expect(page.locator(name)).to_match_aria_snapshot("- list: None since the start")


def test_the_keyboard_reaches_the_state(browser: Browser) -> None:
    with pictured("fine").served() as server, opened(browser, server) as page:
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_be_focused()
