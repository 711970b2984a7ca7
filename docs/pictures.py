"""``make pictures``: the pictures of the status page, by headless Chromium."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, expect

from tests.support.page_states import STATES, pictured
from tests.support.servers.chromium import chromium

PICTURES = Path(__file__).parent / "operations" / "pictures"
#: In browser pixels; the phone shows the dark colours.
_WIDE: ViewportSize = {"width": 900, "height": 1150}
_PHONE: ViewportSize = {"width": 390, "height": 844}
_COLOURS = 64


def take(browser: Browser, url: str, picture: Path, *, phone: bool = False) -> None:
    """Write a picture of the page at ``url`` once it shows values."""
    with browser.new_context(
        color_scheme="dark" if phone else "light",
        viewport=_PHONE if phone else _WIDE,
    ) as context:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#updated")).to_contain_text("Updated", timeout=60_000)
        page.screenshot(path=picture)
    with Image.open(picture) as image:
        # A third of the bytes: the page has few colours.
        image.convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


def write() -> None:
    """Write a picture of each state, and one of a phone."""
    PICTURES.mkdir(exist_ok=True)
    with chromium() as browser:
        for state in STATES:
            with pictured(state).served() as server:
                url = f"http://127.0.0.1:{server.port}/"
                take(browser, url, PICTURES / f"{state}.png")
                if state == "fine":
                    take(browser, url, PICTURES / "phone.png", phone=True)


if __name__ == "__main__":
    write()
