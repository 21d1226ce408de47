"""Takes the pictures of the live page in docs/, of what `make demo` has made.

python -m tests.integration.page_pictures docs
"""

import argparse
import itertools
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from edgekit_device.config.settings import HttpSettings
from edgekit_device.health import SinkHealth
from edgekit_device.sinks.http import Http
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import Decision
from edgekit.inference.events import Event, event_id
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Pipeline
from edgekit.model.decision import DecisionSettings
from tests.conftest import ROOT
from tests.device.sinks.parts import Parts
from tests.device.sinks.player import HEALTH
from tests.integration.browser import open_browser, set_screen, take_picture

DEMO = ROOT / "build" / "demo"
VIEW = {
    "rotate": 0,
    "mirror": False,
    "region": [0.12, 0.08, 0.6, 0.84],
    "masks": [[0.0, 0.0, 0.3, 0.2]],
    "frame": {"width": 640, "height": 480},
    "sees": [0.12, 0.1, 0.6, 0.8],
}
WELL = msgspec.structs.replace(
    HEALTH, model="resnet18-int8.tflite", source="picamera2:", throttled=[], restarts={},
    sinks={"mqtt": SinkHealth(1021, 0, 0), "http": SinkHealth(88, 0, 0),
           "history": SinkHealth(642, 0, 0)},
)  # fmt: skip
SHOTS = {
    # By file: the address, the width, the height, and what has to be seen before.
    "live-page.png": ("#live", 1180, 860, "pictured && document.images.length"),
    "live-page-history.png": (
        "#history?day={day}",
        390,
        844,
        "(day?.events[0] && new Date(day.events[0].ts).getHours() > 20 || (go(true), false))",
    ),
    "live-page-view.png": ("#view", 390, 844, "bitmap && seen"),
}


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    clip = read_clip(DEMO / "clip.avi")
    day = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    day -= timedelta(days=1)
    stop = threading.Event()
    for file, (address, width, height, ready) in SHOTS.items():
        parts = Parts(gaps=gaps_of(day), control=True, pixels=lambda number: clip[number])
        if "view" in file:
            parts.view = VIEW
        sink = Http(HttpSettings(listen="127.0.0.1:0"), "front-door", lambda: WELL, parts=[parts])
        player = threading.Thread(target=play, args=(sink, parts, clip, day, stop))
        sink.start()
        player.start()
        try:
            with open_browser() as browser:
                set_screen(browser, width, height)
                browser.get(sink.url + address.format(day=day.date()))
                script = (
                    "return connected && points.length > 300 && frameAge() < 1 && answer.score > .9"
                    f" && !['nothing', 'unknown'].includes(answer.label) && {ready}"
                )
                WebDriverWait(browser, 150).until(partial(evaluate, script=script))
                time.sleep(0.6)  # for the page's own half a second, and for small pictures
                take_picture(browser, folder / file)
                make_small(folder / file)
        finally:
            stop.set()
            player.join()
            sink.close(timeout=10)
            stop.clear()


def evaluate(browser: webdriver.Chrome, script: str) -> object:
    """What a script gives."""
    return browser.execute_script(script)


def make_small(file: Path) -> None:
    """Cut off what lies below, and keep 256 colours."""
    whole = Image.open(file)
    picture = whole.crop((0, 0, whole.width, min(whole.height, 1000)))
    picture.quantize(256).save(file, optimize=True)


def read_clip(path: Path) -> list[NDArray[np.uint8]]:
    """All frames, RGB."""
    reader, frames = cv2.VideoCapture(str(path)), []
    while (read := reader.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB).astype(np.uint8))
    return frames


def play(
    sink: Http, parts: Parts, clip: list[NDArray[np.uint8]], day: datetime, stop: threading.Event
) -> None:
    """Five minutes at once, of which the history is made, and then what follows, live."""
    model = Classifier(DEMO / "resnet18-int8.tflite")
    pipeline = Pipeline(
        model,
        "resnet18-int8.tflite",
        Decision(DecisionSettings(), model.labels),
        "picamera2:",
        live=True,
    )
    begin, number = time.monotonic() - 300, 0
    changes: list[tuple[Event, int]] = []
    for number in itertools.count():
        if stop.is_set():
            break
        seen = begin + number / 5
        stop.wait(max(0.0, seen - time.monotonic()))
        place = number % len(clip)
        result = pipeline.process(Frame(number, clip[place], seen, seen))
        event = pipeline.event(result, "running", picture=True)
        sink.frame(result)
        if event is None or event.event != "change":
            continue
        ts = datetime.now(UTC) - timedelta(seconds=time.monotonic() - seen)
        event = moved(event, ts, place)
        sink.event(event)
        changes.append((event, place))
        parts.events = day_of([*changes], day)
    model.close()


def moved(event: Event, ts: datetime, place: int) -> Event:
    """The same at another time; its number says which frame of the clip it shows."""
    text = ts.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.structs.replace(event, ts=text, id=event_id(text, place))


def day_of(changes: list[tuple[Event, int]], day: datetime) -> list[Event]:
    """The changes once more, spread over a day, and as they were."""
    away = [[datetime.fromisoformat(gap[side]) for side in ("from", "to")] for gap in gaps_of(day)]
    random, at, spread = np.random.default_rng(7), day + timedelta(minutes=5), []
    for event, place in changes:
        if not any(start <= at < stop for start, stop in away):
            spread.append(moved(event, at, place))
        at += timedelta(minutes=float(random.exponential(3 if event.label == "unknown" else 25)))
        if at >= day + timedelta(days=1):
            break
    return [*spread, *(event for event, _ in changes)]


def gaps_of(day: datetime) -> list[dict[str, str]]:
    """A restart of the board in the night, and a pause at noon."""
    return [
        {"from": (day + timedelta(hours=start)).isoformat(),
         "to": (day + timedelta(hours=stop)).isoformat(), "why": why}
        for start, stop, why in ((3.2, 3.9, "off"), (12.5, 13.75, "paused"))
    ]  # fmt: skip


if __name__ == "__main__":
    main()
