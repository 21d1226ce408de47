"""A headless Chromium; run as a program, it takes a picture of a page.

python -m tests.integration.browser http://127.0.0.1:8080/ docs/live-page.png
"""

import argparse
import base64
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


def find_browser() -> tuple[str, str] | None:
    """Paths of Chromium and of its driver, None where one of them is not installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    found = find_browser()
    assert found is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = found[0]
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(found[1]))
        try:
            yield browser
        finally:
            browser.quit()


def set_screen(browser: webdriver.Chrome, width: int, height: int, *, dark: bool = False) -> None:
    """Pretend to have a screen of `width` x `height` CSS pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def take_picture(browser: webdriver.Chrome, target: Path) -> None:
    """Write the whole page as PNG, also what is below the screen."""
    answer = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True}
    )
    target.write_bytes(base64.b64decode(answer["data"]))


def main() -> None:
    """Take a picture of a page that is being served."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url")
    parser.add_argument("target", type=Path)
    parser.add_argument("--width", type=int, default=1180)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    with open_browser() as browser:
        set_screen(browser, given.width, given.height, dark=given.dark)
        browser.get(given.url)
        WebDriverWait(browser, 30).until(
            lambda browser: browser.execute_script("return pictured && connected && points.length")
        )
        take_picture(browser, given.target)


if __name__ == "__main__":
    main()
