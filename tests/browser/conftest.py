"""Chromium and the street it looks at, both only while this folder's tests run.

Playwright's synchronous interface keeps an event loop running in this thread, so it must have ended before tests of
other folders start loops of their own: hence the scope.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.street import Street, open_street

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES: Final = {"phone": (390, 844), "desktop": (1440, 900), "small": (360, 640)}
PATIENCE_MS: Final = 60_000
SCREENSHOTS: Final = "GOLMOK_SCREENSHOTS"
"""Set to a folder, the pictures that the tests take are kept there to be looked at."""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("NO BROWSER TESTS: Chromium is not there (apt-get install chromium fonts-noto-cjk)")
    driver = subprocess.run([*compute_driver_executable(), "--version"], capture_output=True, text=True, check=False)
    if driver.returncode:
        pytest.skip(f"NO BROWSER TESTS: Playwright does not start (apt-get install libatomic1): {driver.stderr}")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def street(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with open_street(tmp_path_factory.mktemp("street")) as street:
        yield street


@dataclass
class Reader:
    """Somebody who reads a page, and notes what a page must not do."""

    page: Page
    allowed: tuple[str, ...]
    pictures: Path
    may_lose: bool = False
    """The test takes a server away, or has it refuse, which the browser reports as an error of its own."""
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: self._dialog(dialog))
        self.page.on("request", lambda request: self._request(request.url))

    def open(self, url: str, language: str | None = None) -> Reader:
        """Go there; a mark shows later whether the page was loaded anew."""
        self.page.goto(url if language is None else f"{url}?lang={language}")
        self.page.evaluate("window.isSamePage = true")
        return self

    def picture(self, name: str) -> None:
        """Take a picture of the whole page."""
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def check(self) -> None:
        """The page was not loaded anew, fits its window, and did nothing that it must not."""
        assert self.page.evaluate("window.isSamePage") is True
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= window, "the page must not scroll sideways"
        assert self.errors == []

    def _console(self, message: ConsoleMessage) -> None:
        lost = self.may_lose and ("net::ERR_" in message.text or "the server responded with" in message.text)
        slow = "GL Driver Message" in message.text  # Chromium's own, of drawing without a graphics card
        if message.type in ("error", "warning") and not lost and not slow:
            self.errors.append(f"console: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith(self.allowed):
            self.errors.append(f"elsewhere: {url}")

    def _dialog(self, dialog: Any) -> None:
        self.errors.append(f"markup has run: {dialog.message}")
        dialog.dismiss()


Readers = Callable[..., Reader]


@pytest.fixture
def reader(anybody: Readers, street: Street) -> Readers:
    """Makes readers of the street's pages: `reader("phone", locale="en-GB", scheme="dark")`."""
    return partial(anybody, street.addresses)


@pytest.fixture
def anybody(chromium: Browser, tmp_path: Path) -> Iterator[Readers]:
    """Makes readers of the pages at these addresses."""
    contexts: list[BrowserContext] = []
    pictures = Path(os.environ.get(SCREENSHOTS) or tmp_path)
    pictures.mkdir(parents=True, exist_ok=True)

    def make(
        addresses: tuple[str, ...],
        size: str = "desktop",
        locale: str = "ko-KR",
        scheme: Any = "light",
        may_lose: bool = False,
        timezone: str = "Asia/Seoul",
    ) -> Reader:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme=scheme,
            timezone_id=timezone,
            reduced_motion="reduce",
        )
        contexts.append(context)
        return Reader(context.new_page(), addresses, pictures, may_lose)

    yield make
    for context in contexts:
        with suppress(OSError):
            context.close()


def eventually_changes(locator: Any) -> tuple[str, str]:
    """The text of an element before and after it has changed by itself."""
    before = locator.inner_text()
    expect(locator).not_to_have_text(before)
    return before, locator.inner_text()
