"""`/api/events…`, over real connections."""

import io
import json
import string
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import cv2
import msgspec
import numpy as np
import pytest
from edgekit_device.config.settings import HistorySettings, HttpSettings
from edgekit_device.history.entries import Item, Note
from edgekit_device.history.layout import FILE
from edgekit_device.history.store import Store
from edgekit_device.history.times import rfc3339
from edgekit_device.pictures import EventPicture
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api import events as api
from edgekit_device.sinks.http.api.events import events_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.inference.events import event_id
from edgekit.offline.recording import Recording
from tests.device.history.samples import MINUTE, NOON
from tests.device.sinks.player import LABELS, Player, make_change, make_result
from tests.device.sinks.web import Answer, ask, served


def serve(folder: Path | None) -> Http:
    part = events_of(HistorySettings(folder=folder))
    return Http(HttpSettings(listen="127.0.0.1:0"), "pi", Player().snapshot, parts=(part,))


def item(number: int, picture: bool = True) -> Item:
    """The change of frame `number` to a label, a minute after the one before."""
    at = NOON + number * MINUTE
    ts = rfc3339(at)
    event = msgspec.structs.replace(
        make_change(number, number % 2), ts=ts, id=event_id(ts, number), picture=True
    )
    jpeg = EventPicture(make_result(number), "off").jpeg("full", marked=False) if picture else None
    sees = "[0.125,0.0,0.75,1.0]" if picture else None
    return Item(event.id, at, event.label, msgspec.json.encode(event).decode(), sees, jpeg)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A history of ten changes, the last without a picture."""
    folder = tmp_path / "history"
    folder.mkdir()
    store = Store(folder, 30, 10)
    store.write([Note(NOON), *(item(number, number < 9) for number in range(10))], NOON)
    store.write([Note(NOON + 10 * MINUTE, "off")], NOON + 10 * MINUTE)
    store.close()
    return folder


@pytest.fixture
def sink(folder: Path) -> Iterator[Http]:
    with served(serve(folder)) as sink:
        sink.frame(make_result())
        yield sink


def get(sink: Http, path: str = "", **query: object) -> Answer:
    return ask(sink, f"/api/events{path}?{urlencode(query)}")


def frames(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.text
    return [event["frame"] for event in answer.json["events"]]


def correct(sink: Http, number: int, label: str) -> Answer:
    body = json.dumps({"label": label})
    headers = {"Content-Type": "application/json"}
    return ask(sink, f"/api/events/{item(number).id}/wrong", "POST", body, **headers)


class TestList:
    def test_newest_first_with_what_the_model_saw(self, sink: Http) -> None:
        answer = get(sink)
        assert frames(answer) == [*range(9, -1, -1)]
        assert (answer.json["more"], answer.json["history"]) == (False, True)
        newest, second = answer.json["events"][:2]
        # It has no picture, whatever was said as it happened.
        assert "picture" not in newest
        assert "view" not in newest
        assert (second["picture"], second["view"]) == (True, [0.125, 0.0, 0.75, 1.0])

    def test_by_time_label_and_place(self, sink: Http) -> None:
        two, five = rfc3339(NOON + 2 * MINUTE), rfc3339(NOON + 5 * MINUTE)
        assert frames(get(sink, **{"from": two, "to": five})) == [4, 3, 2]
        assert frames(get(sink, **{"from": "2025-06-01T13:02:00+01:00", "to": five})) == [4, 3, 2]
        assert frames(get(sink, label=LABELS[1])) == [9, 7, 5, 3, 1]
        assert frames(get(sink, label="no such label")) == []
        assert frames(get(sink, before=item(3).id)) == [2, 1, 0]

    def test_page_by_page(self, sink: Http) -> None:
        seen: list[int] = []
        query: dict[str, object] = {"limit": 4, "label": LABELS[1]}
        while True:
            answer = get(sink, **query)
            seen += frames(answer)
            if not answer.json["more"]:
                break
            query["before"] = answer.json["events"][-1]["id"]
        assert seen == [9, 7, 5, 3, 1]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0", "limit=501", "limit=-1", "limit=1e2", "limit=", "limit=%D9%A1", "from=now",
            "from=2026-11-27", "from=2026-11-27T01:31:07", "from=2026-13-27T01:31:07Z",
            "from=20261127T013107Z", "to=0", "from=2026-11-27T02:00:00Z&to=2026-11-27T01:00:00Z",
            "from=2026-11-27T00:00:00+01:00", "before=abc", "before=../../x", "label=", "page=2",
            "limit=1&limit=2", f"label={'x' * 3000}",
        ],
    )  # fmt: skip
    def test_nonsense_is_refused_with_a_sentence(self, sink: Http, query: str) -> None:
        answer = ask(sink, f"/api/events?{query}")
        assert answer.status == 400
        assert answer.text.count("\n") == 1
        assert answer.text.endswith(".\n")

    def test_an_event_that_is_not_kept(self, sink: Http) -> None:
        assert get(sink, before="20200101T000000000Z-1").status == 404

    def test_before_there_is_a_file(self, tmp_path: Path) -> None:
        with served(serve(tmp_path / "new")) as sink:
            assert get(sink).json == {"events": [], "more": False, "history": True}
            assert get(sink, "/summary").json["gaps"] == []
            assert get(sink, ".zip").status == 404
        assert not (tmp_path / "new").exists()

    def test_one_that_cannot_be_read_is_said(self, sink: Http, folder: Path) -> None:
        (folder / FILE).write_bytes(b"garbage" * 1000)
        answer = get(sink)
        assert answer.status == 503
        assert "cannot read the history" in answer.text

    def test_without_a_history_what_is_in_memory(self) -> None:
        with served(serve(None)) as sink:
            for number in range(5):
                at = rfc3339(NOON + number * MINUTE)
                change = make_change(number, number % 2)
                sink.event(msgspec.structs.replace(change, ts=at, id=event_id(at, number)))
            answer = get(sink, limit=2)
            assert frames(answer) == [4, 3]
            assert (answer.json["more"], answer.json["history"]) == (True, False)
            assert frames(get(sink, before=answer.json["events"][-1]["id"])) == [2, 1, 0]
            assert frames(get(sink, label=LABELS[1])) == [3, 1]
            assert get(sink, before="20200101T000000000Z-1").status == 404
            assert get(sink, "/summary").status == 404
            assert ask(sink, f"/api/events/{answer.json['events'][0]['id']}.jpg").status == 404
            assert get(sink, limit=0).status == 400

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        st.dictionaries(
            st.sampled_from(["from", "to", "label", "before", "limit", "plain"]),
            st.text(st.sampled_from(string.printable + "ß\0é☃"), max_size=40),
        )
    )
    def test_whatever_is_asked_is_answered_in_good_order(
        self, sink: Http, query: dict[str, str]
    ) -> None:
        for path in ("", "/summary", ".clip", f"/{quote(query.get('before', 'x'), '')}.jpg"):
            assert get(sink, path, **query).status in (200, 400, 404)
        assert sink.report().problem is None


class TestSummary:
    def test_counts_bounds_and_gaps(self, sink: Http, folder: Path) -> None:
        summary = get(sink, "/summary").json
        assert summary["labels"] == {LABELS[0]: 5, LABELS[1]: 5}
        assert (summary["events"], summary["days"], summary["megabytes"]) == (10, 30, 500)
        assert summary["first"] == rfc3339(NOON)
        assert summary["last"] == rfc3339(NOON + 9 * MINUTE)
        assert summary["bytes"] >= (folder / FILE).stat().st_size > 10_000
        assert summary["corrections"] == {"pictures": 0, "bytes": 0}

    def test_of_a_span(self, sink: Http) -> None:
        span = {"from": rfc3339(NOON - MINUTE), "to": rfc3339(NOON + 2 * MINUTE)}
        summary = get(sink, "/summary", **span).json
        assert summary["events"] == 2
        assert summary["gaps"] == [
            {"from": rfc3339(NOON - MINUTE), "to": rfc3339(NOON), "why": "before"}
        ]
        assert get(sink, "/summary", limit=1).status == 400


class TestPicture:
    def test_marked_unless_plain(self, sink: Http) -> None:
        path = f"/api/events/{item(3).id}.jpg"
        plain, marked = ask(sink, f"{path}?plain"), ask(sink, path)
        assert plain.body == item(3).jpeg
        assert marked.headers["Content-Type"] == plain.headers["Content-Type"] == "image/jpeg"
        before, after = (
            cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
            for answer in (plain, marked)
        )
        assert before is not None
        assert after is not None
        # What the model did not see is darker.
        assert after[:, 20].mean() < 0.7 * before[:, 20].mean()
        assert abs(after[:, 160].mean() - before[:, 160].mean()) < 3

    def test_none(self, sink: Http) -> None:
        assert ask(sink, f"/api/events/{item(9).id}.jpg").status == 404
        assert ask(sink, "/api/events/20200101T000000000Z-1.jpg").status == 404
        assert ask(sink, "/api/events/x.jpg").status == 404
        assert ask(sink, f"/api/events/{item(3).id}.jpg?plane").status == 400

    def test_without_a_history_that_in_memory_as_it_goes_out(self) -> None:
        with served(serve(None)) as sink:
            result, change = make_result(), make_change()
            picture = EventPicture(result, "small")
            sink.event(change, picture)
            path = f"/api/events/{change.id}.jpg"
            assert ask(sink, path).body == picture.published
            assert ask(sink, f"{path}?plain").status == 404
            (event,) = get(sink).json["events"]
            assert (event["picture"], event["view"]) == (True, [0.125, 0.0, 0.75, 1.0])


class TestWrong:
    def test_keeps_the_plain_picture_by_its_right_label(self, sink: Http, folder: Path) -> None:
        answer = correct(sink, 3, LABELS[0])
        assert answer.status == 200
        file = folder / "corrections" / LABELS[0] / f"{item(3).id}.jpg"
        assert str(file.relative_to(folder)) in answer.json["message"]
        assert file.read_bytes() == item(3).jpeg
        assert file.stat().st_mode & 0o777 == 0o600
        event = get(sink, before=item(4).id, limit=1).json["events"][0]
        assert event["wrong"] == LABELS[0]
        size = len(item(3).jpeg or b"")
        assert get(sink, "/summary").json["corrections"] == {"pictures": 1, "bytes": size}

    def test_another_correction_takes_the_place_of_the_first(
        self, sink: Http, folder: Path
    ) -> None:
        for label in (LABELS[0], "a new one", LABELS[2]):
            assert correct(sink, 3, label).status == 200
        assert [f.name for f in (folder / "corrections").iterdir()] == [LABELS[2]]

    def test_is_taken_back(self, sink: Http, folder: Path) -> None:
        correct(sink, 3, "a new one")
        path = f"/api/events/{item(3).id}/wrong"
        assert ask(sink, path, "DELETE").status == 200
        assert not [*(folder / "corrections").iterdir()]
        assert ask(sink, path, "DELETE").status == 404
        assert not any("wrong" in event for event in get(sink).json["events"])

    @pytest.mark.parametrize(
        "label",
        [
            "", " ", "..", ".", "../up", "/etc", "a/b", "a\\b", ".hidden", "\0", "a\nb", "\u202ex",
            "x" * 256, "ß" * 200, LABELS[1], LABELS[0].upper(), f" {LABELS[1]} ",
        ],
    )  # fmt: skip
    def test_no_label(self, sink: Http, folder: Path, label: str) -> None:
        answer = correct(sink, 3, label)
        assert answer.status == 422
        assert answer.text.strip()
        assert [file.name for file in folder.iterdir() if file.is_dir()] in ([], ["corrections"])
        assert not any((folder / "corrections").glob("**/*.jpg"))

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(label=st.text(max_size=20) | st.text("./\\~a ", max_size=8))
    def test_whatever_the_label_nothing_leaves_the_folder(
        self, sink: Http, folder: Path, label: str
    ) -> None:
        try:
            answer = correct(sink, 3, label)
        except UnicodeEncodeError:
            return
        assert answer.status in (200, 422)
        found = {file.parent.parent for file in folder.parent.glob("**/*.jpg")}
        assert found <= {folder / "corrections"}

    def test_no_event_and_no_picture(self, sink: Http) -> None:
        assert correct(sink, 9, "cup").status == 409
        assert correct(sink, 77, "cup").status == 404
        for body in ("", "{}", "[]", '{"label": 1}', '{"label": "cup", "more": 1}', "{"):
            path = f"/api/events/{item(3).id}/wrong"
            answer = ask(sink, path, "POST", body, **{"Content-Type": "application/json"})
            assert answer.status == 422

    def test_a_link_is_not_followed(self, sink: Http, folder: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (folder / "corrections").mkdir()
        (folder / "corrections" / "cup").symlink_to(elsewhere)
        assert correct(sink, 3, "cup").status == 503
        assert not [*elsewhere.iterdir()]


class TestDownloads:
    def test_zip(self, sink: Http) -> None:
        answer = get(sink, ".zip", **{"from": rfc3339(NOON + 6 * MINUTE)})
        assert 'filename="edgekit-events.zip"' in answer.headers["Content-Disposition"]
        archive = zipfile.ZipFile(io.BytesIO(answer.body))
        assert archive.testzip() is None
        content = json.loads(archive.read("events.json"))
        assert [event["frame"] for event in content["events"]] == [6, 7, 8, 9]
        assert content["left_out"] == 0
        assert archive.read(f"{item(6).id}.jpg") == item(6).jpeg
        assert len(archive.namelist()) == 4
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.infolist()[0].date_time == (2025, 6, 1, 12, 6, 0)

    def test_clip_is_a_recording(self, sink: Http, tmp_path: Path) -> None:
        answer = get(sink, ".clip", label=LABELS[1])
        assert answer.status == 200
        path = tmp_path / "history.clip"
        path.write_bytes(answer.body)
        recording = Recording(path)
        frames = [*recording]
        assert recording.notes == []
        assert recording.header is not None
        assert "not pixel for pixel" in recording.header.source
        assert [frame.number for frame in frames] == [1, 3, 5, 7]
        assert [frame.time for frame in frames] == [0, 120, 240, 360]
        assert [frame.stretch for frame in frames] == [0, 1, 2, 3]
        assert {frame.record.label for frame in frames if frame.record} == {LABELS[1]}
        expected = cv2.imdecode(np.frombuffer(item(1).jpeg or b"", np.uint8), cv2.IMREAD_COLOR)
        assert expected is not None
        assert (frames[0].pixels == cv2.cvtColor(expected, cv2.COLOR_BGR2RGB)).all()

    @pytest.mark.parametrize("ending", [".zip", ".clip"])
    def test_too_much_and_nothing_are_said_before_anything_is_sent(
        self, sink: Http, ending: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert get(sink, ending, label="no such").status == 404
        assert get(sink, ending, limit=3).status == 400
        monkeypatch.setattr(api, "DOWNLOAD_EVENTS", 5)
        monkeypatch.setattr(api, "CLIP_FRAMES", 5)
        answer = get(sink, ending)
        assert answer.status == 413
        assert "from, to and label" in answer.text

    def test_what_is_removed_meanwhile_is_left_out(self, folder: Path) -> None:
        from edgekit_device.history.downloads import as_zip

        body = b"".join(as_zip(folder, [1, 2, 999]))
        content = json.loads(zipfile.ZipFile(io.BytesIO(body)).read("events.json"))
        assert (len(content["events"]), content["left_out"]) == (2, 1)

    def test_head(self, sink: Http) -> None:
        for ending in (".zip", ".clip"):
            answer = ask(sink, f"/api/events{ending}", "HEAD")
            assert (answer.status, answer.body) == (200, b"")


def test_reading_never_delays_writing(folder: Path) -> None:
    writing: Any = Store(folder, 30, 10)
    with served(serve(folder)) as sink:
        sink.frame(make_result())
        for number in range(10, 20):
            assert get(sink, limit=1).json["events"][0]["frame"] == number - 1
            writing.write([item(number)], NOON)
    writing.close()
