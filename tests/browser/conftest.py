"""
A real Chromium for tests: `page` is a fresh page that nobody else's cookies, storage or cache reach.

What the page's scripts throw, log as an error or fail to load is in `problems`; a test that expects none says so.
"""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

#: Nothing here takes that long; machines that do other things too may.
_MOST_MILLISECONDS = 60_000
expect.set_options(timeout=_MOST_MILLISECONDS)

#: Debian's package and the names that other systems use.
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    arguments = ["--no-proxy-server", "--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        # Chromium refuses to sandbox itself as root. The pages in these tests are our own.
        arguments.append("--no-sandbox")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=executable, args=arguments)
        yield chromium
        await chromium.close()


@pytest.fixture
async def page(browser: Browser, problems: list[str]) -> AsyncIterator[Page]:
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(_MOST_MILLISECONDS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: _note(problems, message))
    page.on("requestfailed", lambda request: problems.append(f"{request.url}: {request.failure}"))
    yield page
    await context.close()


@pytest.fixture
def problems() -> list[str]:
    return []


def _note(problems: list[str], message: ConsoleMessage) -> None:
    if message.type == "error":
        problems.append(message.text)
