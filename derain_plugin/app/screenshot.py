"""The page in a headless browser, by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from derain_plugin.files import atomic_write

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SEVERITY = 5
PATIENCE = 60_000  # ms


def take_screenshot(address: str, path: Path) -> None:
    """Write an image of the page, with rain, to ``path``.

    Raises:
        ImportError: Playwright is not installed.
        FileNotFoundError: There is no Chromium.
    """
    with open_page(address) as page:
        set_slider(page, "severity", SEVERITY)
        page.wait_for_timeout(500)
        content = page.screenshot(full_page=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content)


@contextmanager
def open_page(address: str) -> Iterator[Any]:
    """Open the page in Chromium, and wait for its first result.

    Yields:
        Playwright's page.

    Raises:
        ImportError: Playwright is not installed.
        FileNotFoundError: There is no Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ImportError("a browser is driven by playwright: pip install playwright") from error
    if not Path(CHROMIUM).is_file():
        raise FileNotFoundError(f"there is no {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        # Its sandbox refuses to run as root, and it opens nothing but our own page.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=dict(width=1200, height=900))
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#seen_1 img").wait_for()
        page.locator("#table table").wait_for()
        yield page
        browser.close()


def set_slider(page: Any, elem_id: str, value: float) -> None:
    """Move a slider of the page, and wait until both detectors have answered."""
    before = [page.locator(f"#seen_{n} img").get_attribute("src") for n in (0, 1)]
    page.locator(f"#{elem_id} input[type=number]").fill(str(value))
    page.locator(f"#{elem_id} input[type=number]").press("Enter")
    for number, src in enumerate(before):
        page.wait_for_function(
            "([id, src]) => { const img = document.querySelector(id);"
            "return img && img.getAttribute('src') !== src && img.complete; }",
            arg=[f"#seen_{number} img", src],
        )
