"""The live page in a real browser, fed with answers made by hand."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import pytest
from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.http import Http
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from edgekit.model.decision import DecisionSettings
from tests.device.sinks.parts import NO_VIEW, VIEW, Parts, make_day
from tests.device.sinks.player import DRIFT, LABELS, OWN, Player, make_result
from tests.integration.browser import find_browser, open_browser, set_screen

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs chromium and chromedriver")

LONG = 30  # Seconds for anything to happen.


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with open_browser() as browser:
        yield browser


@contextlib.contextmanager
def served(
    player: Player, listen: str = "127.0.0.1:0", parts: Parts | None = None, **settings: Any
) -> Iterator[Http]:
    given = HttpSettings(listen=listen, **settings)
    sink = Http(given, "pi", player.snapshot, parts=[parts or Parts()])
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
            "calibrated on. Mend the light, or collect such pictures (edgekit collect) and convert "
            "again."
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
        # Nor does a part of the page without the picture take it.
        browser.find_element(By.LINK_TEXT, "History").click()
        page.until(lambda: status_of(f"{sink.url}stream.mjpg") == 200)
        browser.find_element(By.LINK_TEXT, "Live").click()
        page.moves()


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


def test_text_of_twice_the_size_fits_a_phone(browser: webdriver.Chrome) -> None:
    with served(Player(), parts=Parts(make_day(DAY, 5), view=dict(VIEW))) as sink:
        page = Page(browser, sink.url)
        set_screen(browser, 360, 740)
        for section in ("live", "history", "view", "control"):
            browser.get(f"{sink.url}#{section}")
            page.run("document.documentElement.style.fontSize = '200%'")
            shown = f"return !document.getElementById('at-{section}').hidden"
            page.until(partial(page.run, shown))
            assert page.run("return document.documentElement.scrollWidth") <= 360, section


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


DAY = datetime(2026, 1, 5, 8)  # Of the browser's time zone, which is this machine's.


def of_class(browser: webdriver.Chrome, selector: str) -> list[str]:
    """What the elements show that a selector finds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return list(browser.execute_script(script, selector))


def test_a_day_of_the_history_is_filtered_and_looked_through(browser: webdriver.Chrome) -> None:
    events = make_day(DAY, 130)
    gap = {"from": events[60].ts, "to": events[70].ts, "why": "paused"}
    with served(Player(), parts=Parts(events, gaps=[gap])) as sink:
        page = Page(browser, f"{sink.url}#history?day=2026-01-05")
        page.shows("history-count", "130 changes, the newest 50 are shown")
        page.shows("gaps", "Nobody watched: ")
        page.shows("gaps", "(paused)")
        page.shows("kept", "Kept: 130 changes since ")
        assert page.run("return document.querySelectorAll('#timeline .gap').length") == 1
        # What was seen before the gap is not known to have stayed.
        assert page.run("return document.querySelectorAll('#timeline .band').length") == 120
        assert {label for label in LABELS if label in page.text("legend")} == set(LABELS)

        Select(browser.find_element(By.ID, "wanted")).select_by_value("teapot")
        page.shows("history-count", "33 changes")
        assert page.run("return location.hash") == "#history?day=2026-01-05&label=teapot"
        assert "label=teapot" in str(browser.find_element(By.ID, "zip").get_attribute("href"))
        browser.find_element(By.ID, "clip").click()
        page.shows("download-problem", "More than 1000 pictures: ask for less.")
        assert [line for line in page.complaints() if "413" not in line] == []

        browser.find_element(By.CSS_SELECTOR, "#history-list button").click()
        page.shows("event-label", "teapot")
        page.until(lambda: page.run("return document.getElementById('event-picture').naturalWidth"))
        newest = page.text("event-time")
        keys = ActionChains(browser)
        keys.send_keys(Keys.ARROW_LEFT).perform()
        page.until(lambda: page.text("event-time") != newest)
        assert f"event={events[125].id}" in page.run("return location.hash")
        keys.send_keys(Keys.ESCAPE).perform()
        page.until(lambda: page.text("event-label") == "")
        assert page.run("return location.hash") == "#history?day=2026-01-05&label=teapot"
        browser.back()
        page.shows("history-count", "130 changes")
        browser.find_element(By.ID, "day-after").click()
        page.shows("history-empty", "No changes on this day.")
        assert page.run("return location.hash") == "#history?day=2026-01-06"
        assert page.complaints() == []


def test_an_answer_that_was_wrong_is_corrected(browser: webdriver.Chrome) -> None:
    events = make_day(DAY, 3)
    parts = Parts(events)
    address = f"/api/events/{events[1].id}/wrong"
    with served(Player(), parts=parts) as sink:
        page = Page(browser, f"{sink.url}#history?event={events[1].id}")
        page.shows("event-label", "teapot")
        page.until(lambda: browser.find_element(By.ID, "wrong-ask").is_displayed())
        browser.find_element(By.ID, "wrong-ask").click()
        page.until(lambda: page.run("return document.getElementById('labels').options.length") == 3)
        browser.find_element(By.ID, "right").send_keys("blue <cup>\n")
        page.shows("wrong-label", "blue <cup>")
        page.until(lambda: "was blue <cup>" in page.run(LIST))
        browser.find_element(By.ID, "wrong-undo").click()
        page.until(lambda: browser.find_element(By.ID, "wrong-ask").is_displayed())
        assert parts.asked == [(address, "blue <cup>"), (address, None)]
        assert "was" not in page.run(LIST)


LIST = "return document.getElementById('history-list').textContent"


def test_without_a_history_the_last_changes_are_shown_and_how_to_keep_more(
    browser: webdriver.Chrome,
) -> None:
    with served(Player(), parts=Parts(make_day(DAY, 3), history=False)) as sink:
        page = Page(browser, f"{sink.url}#history?day=2026-01-05")
        page.shows("history-off", "No history is kept")
        page.shows("history-toml", "[history]")
        page.shows("history-count", "3 changes")
        assert page.text("downloads") == page.text("kept") == ""
        assert page.text("missing") == ""
        # What an address asks for may be anything.
        browser.get(f"{sink.url}#history?day=2026-02-30&event=../../etc")
        page.shows("missing", "That change is not kept")
        assert page.run("return document.getElementById('day').value") != "2026-02-30"
        browser.get(f"{sink.url}#constructor")
        page.shows("label", "mug")


@pytest.mark.parametrize(
    "label", ["<img src=x onerror=alert(1)>", "שלום <b>", "🦊" * 60, "x" * 200]
)
def test_any_label_is_text(browser: webdriver.Chrome, label: str) -> None:
    events = make_day(DAY, 2, labels=[label])
    with served(Player(), parts=Parts(events)) as sink:
        page = Page(browser, f"{sink.url}#history?event={events[0].id}")
        set_screen(browser, 320, 700)
        page.shows("event-label", label)
        assert page.run(LIST).count(label) == 2
        assert page.run("return document.documentElement.scrollWidth") <= 320
        assert page.complaints() == []


def test_a_view_is_drawn_by_keyboard_and_copied_as_toml(browser: webdriver.Chrome) -> None:
    with served(Player(), parts=Parts(view=dict(VIEW))) as sink:
        page = Page(browser, f"{sink.url}#view")
        page.shows("toml", "region = [0.25, 0.0, 0.5, 1.0]\nmasks = [[0.0, 0.0, 0.2, 0.2]]")
        page.until(lambda: page.text("view-waiting") == "")
        region, _ = browser.find_elements(By.CSS_SELECTOR, "#shapes > div")
        region.send_keys(Keys.ARROW_RIGHT, Keys.SHIFT, Keys.ARROW_UP)
        page.shows("toml", "region = [0.26, 0.0, 0.5, 0.99]")
        assert region.get_attribute("aria-label") == (
            "Region: left 26 %, top 0 %, width 50 %, height 99 %"
        )
        # What is turned stays over what it is over, and is not the same any more.
        Select(browser.find_element(By.ID, "rotate")).select_by_value("90")
        page.shows("toml", "rotate = 90\nmirror = false\nregion = [0.01, 0.26, 0.99, 0.5]")
        page.shows("toml", "masks = [[0.8, 0.0, 0.2, 0.2]]")
        browser.find_elements(By.CSS_SELECTOR, "#shapes > div")[1].send_keys(Keys.DELETE)
        page.shows("toml", "masks = []")
        browser.find_element(By.ID, "view-copy").click()
        page.shows("view-copied", "Copied.")
        browser.find_element(By.ID, "view-reset").click()
        page.shows("toml", "rotate = 0\nmirror = false\nregion = [0.25, 0.0, 0.5, 1.0]")
        assert page.complaints() == []


def test_a_mask_is_dragged(browser: webdriver.Chrome) -> None:
    with served(Player(), parts=Parts(view=dict(NO_VIEW))) as sink:
        page = Page(browser, f"{sink.url}#view")
        page.shows("toml", "region = []\nmasks = []")
        page.until(lambda: page.text("view-waiting") == "")
        browser.find_element(By.ID, "add-mask").click()
        page.shows("toml", "masks = [[0.4, 0.4, 0.2, 0.2]]")
        mask = browser.find_element(By.CSS_SELECTOR, ".shape.mask")
        width = page.run("return document.getElementById('draft').clientWidth")
        ActionChains(browser).click_and_hold(mask).move_by_offset(width // 4, 0).release().perform()
        page.shows("toml", "masks = [[0.65, 0.4, 0.2, 0.2]]")
        ActionChains(browser).click_and_hold(mask).move_by_offset(width // 2, 0).release().perform()
        page.shows("toml", "masks = [[0.8, 0.4, 0.2, 0.2]]")


def test_where_the_model_looks_is_shown_on_request(browser: webdriver.Chrome) -> None:
    with served(Player(), parts=Parts()) as sink:
        page = Page(browser, f"{sink.url}#view")
        page.until(lambda: browser.find_element(By.ID, "attend").is_enabled())
        assert page.text("attention-found") == ""
        browser.find_element(By.ID, "attend").click()
        page.shows("attention-words", "For mug, 90 %. What matters most lies at the middle centre: "
                   "hiding it takes 42 points off.")  # fmt: skip
        page.shows("attention-most", "42 points")
        assert page.complaints() == []


def test_control_asks_again_and_tells_the_outcome(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("correct horse battery\n")
    player, parts = Player(), Parts(control=True)
    with served(player, "0.0.0.0:0", parts, token_file=token_file) as sink:

        def follow(name: str) -> None:
            player.paused = name == "pause"
            player.set_health(sink, "paused" if player.paused else "running")

        parts.on_control = follow
        url = f"http://127.0.0.1:{sink.port}/"
        page = Page(browser, f"{url}?token=correct+horse+battery")
        page.shows("state", "Running")
        browser.find_element(By.LINK_TEXT, "Control").click()
        page.shows("actions", "there is no version before this one")
        assert not browser.find_element(By.ID, "do-rollback").is_enabled()

        browser.find_element(By.ID, "do-pause").click()
        page.shows("sure-title", "Pause?")
        browser.find_element(By.CSS_SELECTOR, "#sure button").click()
        assert parts.asked == []
        browser.find_element(By.ID, "do-pause").click()
        browser.find_element(By.ID, "sure-yes").click()
        page.shows("outcome", "Done: Pause.")
        page.shows("paused", "Paused: nobody is watched.")
        page.shows("state", "Paused")
        # Nothing is left of what was seen last.
        browser.find_element(By.LINK_TEXT, "Live").click()
        page.until(lambda: page.text("label") == "–")
        page.shows("veil", "Paused")
        browser.find_element(By.ID, "resume").click()
        page.shows("state", "Running")
        page.until(lambda: page.text("paused") == "")

        page.shows("label", "mug")
        browser.find_element(By.LINK_TEXT, "Control").click()
        page.until(lambda: browser.find_elements(By.ID, "models"))
        Select(browser.find_element(By.ID, "models")).select_by_visible_text(
            "toys-1.tflite (before)"
        )
        browser.find_element(By.ID, "do-model").click()
        browser.find_element(By.ID, "sure-yes").click()
        page.shows("outcome", "Done: Choose a model.")
        page.shows("clips", "12 MB")
        until = datetime.now(UTC) + timedelta(seconds=30)
        parts.recording = {"clip": "20260105T090000000Z.clip", "until": until.isoformat()}
        browser.find_element(By.ID, "do-record").click()
        page.shows("outcome", "Done: Record.")
        page.shows("recording", "Recording…")
        assert 0.4 < page.run("return document.getElementById('recording-progress').value") < 0.7
        parts.recording = None
        page.until(lambda: page.text("recording") == "")
        assert parts.asked == [
            ("/api/control/pause", {}),
            ("/api/control/resume", {}),
            ("/api/control/model", {"sha256": "1" * 64}),
            ("/api/control/record", {"seconds": 60}),
        ]


def test_all_is_reached_by_keyboard(browser: webdriver.Chrome) -> None:
    events = make_day(DAY, 3)
    with served(Player(), parts=Parts(events, control=True)) as sink:
        page = Page(browser, f"{sink.url}#history?day=2026-01-05")
        page.shows("history-count", "3 changes")
        page.until(lambda: browser.find_element(By.ID, "to-control").is_displayed())
        page.run("document.body.focus()")
        walked = []
        while "clip" not in walked and len(walked) < 30:
            ActionChains(browser).send_keys(Keys.TAB).perform()
            focused = browser.switch_to.active_element
            walked.append(focused.get_attribute("id") or focused.text.split("\n")[0])
        # The date field has several parts.
        assert list(dict.fromkeys(walked)) == [
            "Live", "History", "View", "to-control", "day-before", "day", "day-after", "wanted",
            "watering can", "teapot", "mug", "zip", "clip",
        ]  # fmt: skip
        ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.TAB * 3).key_up(
            Keys.SHIFT
        ).send_keys(Keys.ENTER).perform()
        page.shows("event-label", "teapot")
        ActionChains(browser).send_keys(Keys.ESCAPE).perform()
        page.until(lambda: page.text("event-label") == "")
        assert "teapot" in browser.switch_to.active_element.text


SECTIONS = ["", "#history?day=2026-01-05", "#view", "#control"]


@pytest.mark.skipif("EDGEKIT_AXE" not in os.environ, reason="EDGEKIT_AXE names no axe.min.js")
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser: webdriver.Chrome, dark: bool) -> None:
    events = make_day(DAY, 60)
    dialog = f"#history?day=2026-01-05&event={events[3].id}"
    with served(Player(), parts=Parts(events, view=dict(VIEW), control=True)) as sink:
        page = Page(browser, sink.url)
        set_screen(browser, 360, 740, dark=dark)
        page.run(Path(os.environ["EDGEKIT_AXE"]).read_text("utf-8") + "; window.axe = axe")
        for section in [*SECTIONS, dialog]:
            page.run(f"location.hash = '{section or '#live'}'")
            page.shows("state", "Running")
            page.until(lambda: page.run("return !document.querySelector('[aria-busy]')"))
            script = "axe.run().then((found) => arguments[0](found.violations))"
            assert browser.execute_async_script(script) == [], section
