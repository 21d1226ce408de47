"""The live page in a real browser, fed with answers made by hand."""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import pytest
from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.http import Http
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from edgekit.model.decision import DecisionSettings
from tests.device.sinks.player import DRIFT, OWN, Player, make_result
from tests.integration.browser import find_browser, open_browser, set_screen

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs chromium and chromedriver")

LONG = 30  # Seconds for anything to happen.


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with open_browser() as browser:
        yield browser


@contextlib.contextmanager
def served(player: Player, listen: str = "127.0.0.1:0", **settings: Any) -> Iterator[Http]:
    sink = Http(HttpSettings(listen=listen, **settings), "pi", player.snapshot)
    sink.start()
    try:
        with player.playing(sink):
            yield sink
    finally:
        sink.close(timeout=LONG)


class Page:
    """What is seen on it."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self._browser = browser
        # What the page before this one said is not this one's fault.
        browser.get("about:blank")
        browser.get_log("browser")
        set_screen(browser, 1180, 800)
        browser.get(url)

    def text(self, identity: str) -> str:
        """What an element shows; nothing while it is hidden."""
        return self._browser.find_element(By.ID, identity).text

    def run(self, script: str) -> Any:
        return self._browser.execute_script(script)

    def until(self, condition: Any) -> None:
        WebDriverWait(self._browser, LONG, poll_frequency=0.05).until(lambda _: condition())

    def shows(self, identity: str, text: str) -> None:
        """Wait until an element shows a text."""
        self.until(lambda: text in self.text(identity))

    def moves(self) -> None:
        """Wait until the picture has changed."""
        before = self.run(PIXELS)
        self.until(lambda: self.run(PIXELS) != before)

    def complaints(self) -> list[str]:
        """What the browser has written to its console, breaches of the policy for example."""
        return [entry["message"] for entry in self._browser.get_log("browser")]


PIXELS = "return document.getElementById('picture').toDataURL()"
STALE = "return document.getElementById('picture').parentElement.hasAttribute('data-stale')"


def test_shows_what_is_seen(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.shows("state", "Running")
        page.moves()
        page.moves()
        page.until(lambda: not page.run(STALE))
        page.shows("label", "mug")
        page.shows("score", "90 %")
        page.shows("top", "teapot")
        page.shows("changes", "mug")
        page.shows("health", "19.9 frames/s")
        page.shows("health", "under-voltage")
        page.shows("sinks", "hooks.example.org does not answer (503)")
        assert page.text("notice") == ""
        assert browser.title == "mug · pi"

        player.best = 1
        page.shows("label", "teapot")
        page.shows("changes", "teapot")
        page.until(lambda: browser.title == "teapot · pi")
        page.until(lambda: page.run("return document.querySelectorAll('#chart .run').length") >= 2)
        assert page.complaints() == []


def test_a_stalled_camera_is_seen(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.moves()
        page.until(lambda: not page.run(STALE))
        player.paused = True
        # The picture itself tells, before the daemon has noticed.
        page.until(lambda: page.run(STALE))
        page.shows("veil", "s old")
        player.set_health(sink, "stalled", "camera: no frame for 10 s")
        page.shows("state", "Stalled")
        page.shows("notice", "Stalled: camera: no frame for 10 s.")
        player.paused = False
        player.set_health(sink, "running")
        page.shows("state", "Running")
        page.until(lambda: not page.run(STALE))
        page.moves()
        assert page.text("notice") == ""


def test_what_is_wrong_is_said(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.shows("state", "Running")
        player.set_health(sink, "degraded", "delegate: gone; on the CPU", "mqtt: no broker")
        page.shows("state", "Degraded")
        page.shows("notice", "Degraded: delegate: gone; on the CPU; mqtt: no broker.")


def test_labels_with_settings_of_their_own_are_shown(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.shows("health", "smoothing 5, enter 0.6, leave 0.4, hold 0.5 s, heartbeat 60 s, from")
        assert page.text("own") == ""
        player.decision = OWN
        page.shows("health", "enter 0.7")
        page.shows("own", "teapot 0.85 0.5 2 s")
        page.shows("own", "mug ignored")
        many = {f"class {index}": one for index in range(990) for one in OWN.labels.values()}
        player.decision = DecisionSettings(labels=many)
        page.shows("own", "and 970 more: /api/decision")
        assert page.complaints() == []


def test_drift_is_said_and_is_no_state(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.shows("state", "Running")
        page.shows("label", "mug")
        assert page.text("drift") == ""
        player.set_drift(sink, DRIFT)
        page.shows("drift", "has changed since ")
        style = "{ dateStyle: 'medium', timeStyle: 'short' }"
        since = page.run(f"return new Date('{DRIFT.since}').toLocaleString([], {style})")
        assert page.text("drift") == (
            f"What the model sees has changed since {since}: darker than anything it was "
            "calibrated on. Collect pictures in this light (edgekit collect), check the answers, "
            "and convert again."
        )
        assert (page.text("state"), page.text("notice")) == ("Running", "")
        # Beside what is wrong, and no markup.
        player.set_drift(sink, msgspec.structs.replace(DRIFT, advice="<b>look</b>"))
        player.set_health(sink, "degraded", "mqtt: no broker")
        page.shows("notice", "Degraded: mqtt: no broker.")
        page.shows("drift", "<b>look</b>.")
        player.set_drift(sink, None)
        page.until(lambda: page.text("drift") == "")
        assert page.complaints() == []


def test_reconnects_when_the_server_comes_back(browser: webdriver.Chrome) -> None:
    player = Player()
    with served(player) as sink:
        page = Page(browser, sink.url)
        page.moves()
        address = f"127.0.0.1:{sink.port}"
    page.shows("state", "Disconnected")
    page.shows("notice", "Disconnected: this is how things were at")
    page.shows("veil", "Disconnected")
    assert page.run(STALE)
    with served(Player(best=2), address):
        page.shows("state", "Running")
        page.shows("label", "watering can")
        page.until(lambda: not page.run(STALE))
        page.moves()
        assert page.text("notice") == ""


def test_one_viewer_too_many_is_told_so(browser: webdriver.Chrome) -> None:
    with served(Player(), viewers=1) as sink:
        with urlopen(f"{sink.url}stream.mjpg", timeout=LONG) as other:
            assert other.readline()
            page = Page(browser, sink.url)
            page.shows("veil", "Too many viewers: http.viewers allows 1")
            # All but the picture is there.
            page.shows("label", "mug")
        page.moves()
        page.until(lambda: not page.run(STALE))


def test_a_hidden_page_costs_nothing(browser: webdriver.Chrome) -> None:
    with served(Player(), viewers=1) as sink:
        page = Page(browser, sink.url)
        page.moves()
        shown = browser.current_window_handle
        browser.switch_to.new_window("tab")
        # The one live picture there may be is free again.
        page.until(lambda: status_of(f"{sink.url}stream.mjpg") == 200)
        browser.close()
        browser.switch_to.window(shown)
        page.shows("state", "Running")
        page.moves()
        assert page.text("notice") == ""


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=LONG) as response:
            return int(response.status)
    except HTTPError as error:
        error.close()
        return error.code


def test_begins_before_the_first_frame(browser: webdriver.Chrome) -> None:
    player = Player(paused=True)
    with served(player) as sink:
        player.set_health(sink, "starting", "camera: opening")
        page = Page(browser, sink.url)
        page.shows("notice", "Starting: camera: opening.")
        page.shows("veil", "Waiting for the first picture")
        player.paused = False
        player.set_health(sink, "running")
        page.moves()
        page.shows("label", "mug")


@pytest.mark.parametrize("width", [320, 390, 768, 1180])
def test_fits_the_screen(browser: webdriver.Chrome, width: int) -> None:
    player = Player(paused=True, score=0.7)
    source = "rtsp://camera.example.org:8554/a/very/long/path/without/any/break/in/it"
    player.health = msgspec.structs.replace(player.health, source=source, drift=DRIFT)
    with served(player) as sink:
        for number in range(100):
            sink.frame(make_result(number, number // 9 % 4, 0.8, age=300 - 3 * number))
        page = Page(browser, sink.url)
        set_screen(browser, width, 800)
        page.shows("state", "Running")
        page.until(lambda: page.run("return document.querySelectorAll('#chart .run').length") > 5)
        assert page.run("return document.documentElement.scrollWidth") <= width


def test_a_browser_gets_in_with_the_token(browser: webdriver.Chrome, tmp_path: Any) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("correct horse battery\n")
    with served(Player(), "0.0.0.0:0", token_file=token_file) as sink:
        url = f"http://127.0.0.1:{sink.port}/"
        page = Page(browser, url)
        for token in ("wrong", "correct horse battery"):
            field = browser.find_element(By.NAME, "token")
            field.send_keys(token)
            field.submit()
            if token == "wrong":
                page.until(lambda: "not the right one" in browser.page_source)
        page.shows("label", "mug")
        page.moves()

        browser.delete_all_cookies()
        browser.get(url)
        assert browser.find_elements(By.NAME, "token")
        browser.get(f"{url}?token=correct+horse+battery")
        page.until(lambda: browser.title == "mug · pi")
        assert urlsplit(browser.current_url).query == ""
        page.moves()
