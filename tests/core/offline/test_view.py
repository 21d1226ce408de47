"""The view of recordings: what is applied to which, and what is told or refused."""

import json
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edgekit.errors import GoldenError, SourceError
from edgekit.offline.clip import Clip, ClipWriter, schema_of
from edgekit.offline.golden import check_same, read_golden, write_golden
from edgekit.offline.labelled_pictures import LabelledPictures
from edgekit.offline.recording import Recording
from edgekit.vision.encode import encode_png
from edgekit.vision.preprocess import cut
from edgekit.vision.turning import View
from edgekit.vision.view import Region, ViewSettings
from tests.core.offline.test_clip import HEADER, picture, record
from tests.core.offline.test_golden import GOLDEN
from tests.recordings import Edgekit, failure, write_pictures, write_video

HALF = (0.5, 0.0, 0.5, 1.0)
ALL = ViewSettings(rotate=90, mirror=True, region=HALF, masks=((0, 0, 1, 0.25),))


def write_clip(path: Path, view: ViewSettings | None) -> Path:
    """A clip with a view, or one of before there were any."""
    header: Any = HEADER
    if view is None:
        header = msgspec.to_builtins(HEADER)
        del header["view"]
    else:
        header = msgspec.structs.replace(HEADER, view=view, schema=schema_of(view))
    writer = ClipWriter(path, header)
    for number in range(2):
        writer.write(record(number), encode_png(picture(number)))
    writer.finish()
    return path


def halves(folder: Path) -> Path:
    """A folder of one picture: red on the left, blue on the right; twice as wide as it is high."""
    folder.mkdir(parents=True)
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16, 2], pixels[:, 16:, 0] = 250, 250  # in OpenCV's order
    assert cv2.imwrite(str(folder / "1.png"), pixels)
    return folder


@pytest.mark.parametrize("kind", ["video", "folder", "picture"])
def test_frames_are_turned_and_masked_as_they_are_read(kind: str, tmp_path: Path) -> None:
    path = {
        "video": lambda: write_video(tmp_path / "v.avi", ["red", "green"]),
        "folder": lambda: write_pictures(tmp_path / "p", ["red", "green"]),
        "picture": lambda: write_pictures(tmp_path / "p", ["red"]) / "0000.png",
    }[kind]()
    plain, seen = list(Recording(path)), list(Recording(path, ALL))
    assert plain and [frame.region for frame in plain] == [None] * len(plain)
    for before, frame in zip(plain, seen, strict=True):
        assert np.array_equal(frame.pixels, View(ALL).turn(before.pixels))
        assert (frame.region, frame.view) == (Region(*HALF), ALL)


def test_frames_of_a_clip_are_turned_already_and_keep_their_region(tmp_path: Path) -> None:
    recording = Recording(write_clip(tmp_path / "a.clip", ALL))
    for number, frame in enumerate(recording):
        assert np.array_equal(frame.pixels, picture(number))
        assert (frame.region, frame.view) == (Region(*HALF), ALL)
    assert recording.view == ALL


def test_a_clip_from_before_there_were_views_is_read(tmp_path: Path) -> None:
    recording = Recording(write_clip(tmp_path / "a.clip", None))
    assert len(list(recording)) == 2
    assert recording.view == ViewSettings()


def test_who_knows_no_regions_refuses_a_clip_with_one_and_reads_all_others() -> None:
    assert schema_of(ALL) == 2
    assert schema_of(msgspec.structs.replace(ALL, region=())) == 1


def test_another_region_wins_over_that_of_the_clip(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.clip", ALL)
    wanted = ViewSettings(region=(0, 0, 1, 1))
    recording = Recording(clip, wanted)
    assert [frame.region for frame in recording] == [Region(0, 0, 1, 1)] * 2
    assert recording.view == msgspec.structs.replace(ALL, region=wanted.region)
    assert not recording.notes


def test_what_is_set_and_not_applied_to_a_clip_is_told(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.clip", ViewSettings(mirror=True))
    recording = Recording(clip, ViewSettings(rotate=180, mirror=True, masks=((0, 0, 1, 0.5),)))
    (told,) = recording.notes
    assert told == (
        "not recorded with rotate 180 or masks [[0, 0, 1, 0.5]], which is not applied to a clip"
    )
    assert len(list(recording)) == 2
    assert len(recording.notes) == 1
    # The same as it was recorded with is nothing to tell.
    assert not Recording(clip, ViewSettings(mirror=True)).notes


def test_a_region_of_frames_turned_otherwise_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.clip", ViewSettings())
    with pytest.raises(
        SourceError, match=r"recorded with rotate 0 .*, and the region is of frames"
    ):
        Recording(clip, ViewSettings(rotate=180, region=HALF))
    # Masks move nothing.
    Recording(clip, ViewSettings(masks=((0, 0, 0.5, 0.5),), region=HALF))


@pytest.mark.parametrize(
    "view",
    [
        b'{"region":[0,0,2,1]}', b'{"region":[0,0,0,0]}', b'{"masks":[[0,0,1,1]]}',
        b'{"rotate":45}', b'{"turn":90}', b'[]',
    ],
)  # fmt: skip
def test_a_damaged_view_in_a_header_is_one_line(view: bytes, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.clip", ViewSettings())
    plain = b'{"rotate":0,"mirror":false,"region":[],"masks":[]}'
    content = clip.read_bytes()
    assert plain in content
    clip.write_bytes(content.replace(plain, view.ljust(len(plain))))
    with pytest.raises(SourceError, match="has a damaged header"):
        Clip(clip)


def test_a_view_may_change_between_two_frames(tmp_path: Path) -> None:
    recording = Recording(write_pictures(tmp_path / "p", ["red", "green"]))
    first, *_ = frames = iter(recording), recording.look(ALL)
    assert next(first).view == ALL
    recording.look(ViewSettings())
    assert next(first).view == ViewSettings()
    assert frames


def test_a_golden_file_holds_its_view(tmp_path: Path) -> None:
    viewed = msgspec.structs.replace(GOLDEN, view=ALL)
    write_golden(tmp_path / "g", viewed)
    assert read_golden(tmp_path / "g") == viewed
    check_same(Path("g"), viewed, viewed, any_model=False)
    with pytest.raises(GoldenError, match="other settings of the view: rotate 90, not 0, mirror"):
        check_same(Path("g"), viewed, GOLDEN, any_model=False)
    # As those of before have none, whoever reads those reads these.
    write_golden(tmp_path / "plain", GOLDEN)
    assert b"view" not in (tmp_path / "plain").read_bytes()


def test_replay_and_evaluate_look_where_they_are_told(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    pictures = halves(tmp_path / "pictures")
    config = tmp_path / "edgekit.toml"
    config.write_text("[view]\nregion = [0.5, 0, 0.5, 1]\n")

    def label(*options: object) -> str:
        done = edgekit("replay", pictures, "--model", model, "--json", *options)
        assert done.exit_code == 0, done.output
        found: str = json.loads(done.stdout)["changes"][0]["label"]
        return found

    assert label("--view-region", "0,0,0.5,1") == "red"
    assert label("--view-region", "[0, 0, 0.5, 1]", "--view-mirror") == "blue"
    assert label("--config", config) == "blue"
    assert label("--config", config, "--view-region", "0,0,0.5,1") == "red"
    assert label("--view-masks", "0,0,0.5,1") == "blue"
    done = edgekit("replay", pictures, "--model", model)
    assert "view: the model looks at the middle 14 x 14 of 32 x 16 pixels" in done.stderr


def test_a_golden_file_of_another_view_is_refused(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    base = ("replay", halves(tmp_path / "p"), "--model", model, "--golden", tmp_path / "g.json")
    assert edgekit(*base, "--view-region", "0,0,0.5,1", "--update").exit_code == 0
    assert edgekit(*base, "--view-region", "0,0,0.5,1").exit_code == 0
    assert "other settings of the view: region" in failure(edgekit(*base))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--view-region", "left", "'left' is no list of numbers like X,Y,WIDTH,HEIGHT"),
        ("--view-region", "0.5;0;0.5;1", "is no list of numbers"),
        ("--view-region", "0.5,0,0.5,true,", "is no list of numbers"),
        ("--view-region", "[" * 5000, "is no list of numbers"),
        ("--view-region", "0.5,0,0.5", "view: region has 3 numbers"),
        ("--view-region", "NaN,0,0.5,1", "view: region has nan"),
        ("--view-region", "0,0,true,1", "view.region"),
        ("--view-masks", "[0,0,1,0.2],0.5", "view.masks"),
        ("--view-masks", "0,0,1,1", "masks hide all"),
        ("--view-rotate", "45", "45"),
    ],
)
def test_nonsense_is_refused_in_a_line(
    option: str, value: str, message: str, edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    done = edgekit("replay", halves(tmp_path / "p"), "--model", model, option, value)
    assert done.exit_code != 0
    assert message in f"{done.output} {done.exception}"


def test_labelled_pictures_are_taken_as_they_are_but_for_the_region(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    halves(folder / "blue")
    write_pictures(folder / "red", ["red"])
    whole = LabelledPictures.in_folder(folder, ["red", "blue"])
    told: list[str] = []
    half = LabelledPictures.in_folder(
        folder, ["red", "blue"], notify=told.append, region=Region(*HALF)
    )
    for before, after in zip(whole, half, strict=True):
        assert np.array_equal(after.pixels, cut(before.pixels, Region(*HALF)))
    assert told == ["of each picture the region 0.5, 0, 0.5, 1 is used"]
    done = edgekit("evaluate", model, folder, "--view-rotate", "180")
    assert "all but --view-region, need a recording" in done.output
