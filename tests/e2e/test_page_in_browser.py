"""The status page in headless Chromium: five states, accessibility, hostile values, updates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bridge.model.transition import Poison, Transition
from bridge.observability.http_server import HttpServer
from tests.support.factories import delivery, transition
from tests.support.page_states import PicturedBridge, pictured
from tests.support.servers.chromium import chromium

VERDICTS = {
    "fine": "Transitions reach Kafka",
    "catching-up": "Catching up",
    "kafka-unreachable": "Transitions do not reach Kafka now",
    "recovering": "Recovering a gap",
    "standby": "Standby: another bridge delivers",
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
