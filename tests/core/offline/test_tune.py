"""`edgekit tune`: what it prints and writes, and what it refuses before it begins."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from edgekit.commands import tune
from edgekit.inference.classifier import Classifier
from edgekit.model.container import read_model
from edgekit.offline.recording import Recording
from edgekit.offline.tuning import candidates
from tests.recordings import Edgekit, failure, write_pictures, write_video
from tests.tiny import own_model

# What a frame shows when the model errs: every seventh.
_OTHER = {"red": "green", "green": "blue", "blue": "red", "grey": "grey"}


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that make a difference here."""
    monkeypatch.setattr(candidates, "_SMOOTHING", (1, 5, 12))
    monkeypatch.setattr(candidates, "_ENTER", (0.3, 0.6, 0.9))
    monkeypatch.setattr(candidates, "_LEAVE", (0.2, 0.4))
    monkeypatch.setattr(candidates, "_HOLD", (0.0, 0.5))


def _shown(intervals: int) -> list[str]:
    return [("red", "green", "blue")[place % 3] for place in range(intervals) for _ in range(12)]


def record(folder: Path, name: str = "door", intervals: int = 16) -> tuple[Path, Path]:
    """A video on which every seventh frame is another colour, and what it really shows."""
    shown = _shown(intervals)
    seen = [_OTHER[one] if place % 7 == 6 else one for place, one in enumerate(shown)]
    video, truth = write_video(folder / f"{name}.avi", seen), folder / f"{name}.json"
    truth.write_text(json.dumps(shown))
    return video, truth


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return own_model(tmp_path / "model.tflite")


# The decision that holds now: one that flickers.
HASTY = ("--decision-smoothing", 1, "--decision-hold", 0)


def test_it_prints_settings_figures_a_plot_and_a_configuration(
    edgekit: Edgekit, own: Path, tmp_path: Path
) -> None:
    video, truth = record(tmp_path)
    done = edgekit("tune", own, video, "--truth", truth, *HASTY)
    assert done.exit_code == 0
    out = done.stdout
    assert (
        "objective   balanced: a false event costs 1, a missed one 1, a second of delay 0.2" in out
    )
    assert "recordings  1, 16 events in 19.2 s, in 8 parts" in out
    assert "model       85.9% of the judged frames right by itself" in out
    assert "on parts left out" in out
    assert "The recommended settings cost" in out
    assert "o now, x then" in out
    chosen = tomllib.loads(out[out.index("# Found by") :])["decision"]
    assert set(chosen) & {"smoothing", "hold"}
    assert "decision now: smoothing 1, enter 0.6, leave 0.4, hold 0" in done.stderr


def test_figures_are_those_of_evaluate_before_and_after(
    edgekit: Edgekit, own: Path, tmp_path: Path
) -> None:
    video, truth = record(tmp_path)
    toml = tmp_path / "tuned.toml"
    done = edgekit("tune", own, video, "--truth", truth, "--json", "--output", toml, *HASTY)
    found = json.loads(done.stdout)

    def evaluate(*options: object) -> dict[str, Any]:
        done = edgekit("evaluate", own, video, "--truth", truth, "--json", *options)
        parsed = json.loads(done.stdout)
        assert isinstance(parsed, dict)
        return parsed

    before, after = evaluate(*HASTY), evaluate("--config", toml, *_pinned(found))
    assert found["before"]["found"] == before["found"]
    assert found["before"]["answers"] == before["answers"]
    assert found["before"]["right"] == before["right_answers"]
    assert found["before"]["delay_s"] == pytest.approx(before["delay_s"])
    assert before["answers"] > after["answers"] >= 16
    assert toml.read_text() == found["toml"]
    assert found["gain"] > found["gain_standard_error"]
    assert found["after"]["cost"] < found["before"]["cost"]
    assert (found["parts"], found["recordings"][0]["events"]) == (8, 16)
    assert found["trade_off"][0]["late_s"] <= found["trade_off"][-1]["late_s"]


def _pinned(found: dict[str, Any]) -> list[object]:
    """All that holds, as options: also what stays as the command line had it."""
    keys = ("smoothing", "enter", "leave", "hold")
    return [word for key in keys for word in (f"--decision-{key}", found["settings"][key])]


def test_files_are_written_and_named(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    report, toml, new = (tmp_path / name for name in ("r.html", "t.toml", "new.tflite"))
    (tmp_path / "new_edgetpu.tflite").write_bytes(b"")
    done = edgekit(
        "tune", own, video, "--truth", truth, *HASTY,
        "--report", report, "--output", toml, "--into", new,
    )  # fmt: skip
    assert done.stdout.endswith(f"settings    {toml}\nreport      {report}\nmodel       {new}\n")
    assert "[decision]" not in done.stdout
    assert "new_edgetpu.tflite beside it is without the recommendation" in done.stderr
    page = report.read_text()
    assert "<svg" in page
    assert "recommended</text>" in page
    assert toml.read_text() in page.replace("&#39;", "'")
    manifest = read_model(new).manifest
    assert manifest is not None
    assert manifest.decision is not None
    assert (manifest.decision.recordings, manifest.decision.events) == (1, 16)
    assert manifest.decision.objective.startswith("balanced: ")
    recommended = Classifier(new).recommended
    chosen = tomllib.loads(toml.read_text())["decision"]
    assert chosen.get("smoothing", 5) == (recommended.smoothing or 5)
    again = edgekit("tune", new, video, "--truth", truth)
    assert "from the model file" in again.stderr
    assert "so they stay" in again.stdout


def test_the_configuration_alone_is_printed_for_a_pipe(
    edgekit: Edgekit, own: Path, tmp_path: Path
) -> None:
    video, truth = record(tmp_path)
    done = edgekit("tune", own, video, "--truth", truth, "--output", "-")
    assert list(tomllib.loads(done.stdout)) == ["decision"]
    assert done.stdout.startswith("# Found by edgekit tune for model.tflite:\n")


def test_costs_take_the_place_of_the_preferences(
    edgekit: Edgekit, own: Path, tmp_path: Path
) -> None:
    video, truth = record(tmp_path)
    done = edgekit("tune", own, video, "--truth", truth, "--cost-second", 3, "--json")
    assert json.loads(done.stdout)["objective"] == {
        "name": None, "cost_false": 1, "cost_missed": 1, "cost_second": 3,
    }  # fmt: skip


def test_a_folder_of_pictures_will_do(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    shown = [("red", "green", "blue")[place // 3 % 3] for place in range(45)]
    seen = ["green" if place % 7 == 6 else one for place, one in enumerate(shown)]
    folder, truth = write_pictures(tmp_path / "pictures", seen), tmp_path / "truth.json"
    truth.write_text(json.dumps(shown))
    done = edgekit("tune", own, folder, "--truth", truth)
    assert done.exit_code == 0
    assert "each picture counts as a second" in done.stderr


# What is refused before a frame is answered.


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> None:
        raise AssertionError("slow work began")

    monkeypatch.setattr(Recording, "__iter__", work)


def usage(done: Result) -> str:
    assert done.exit_code == 2
    return done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("no_work")
def test_each_recording_has_its_truth(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    said = usage(edgekit("tune", own, video, video, "--truth", truth))
    assert said.startswith("Error: 2 recordings and 1 truths; give --truth once for each")


@pytest.mark.usefixtures("no_work")
def test_a_recording_counts_once(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    link = tmp_path / "link.avi"
    link.symlink_to(video)
    done = edgekit("tune", own, video, link, "--truth", truth, "--truth", truth)
    assert failure(done) == f"{link} is named twice; each recording counts once"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (_shown(9), "9 intervals are too few to tell settings apart; it takes 10"),
        (["red", None] * 54, "all intervals are of 'red', so that no answer could be wrong"),
        (["pink"] * 108, "the model has no class 'pink'"),
        (_shown(12), "has labels for 144 frames, and door.avi has 192"),
    ],
)
def test_truths_that_cannot_tune(
    edgekit: Edgekit, own: Path, tmp_path: Path, shown: Sequence[str], said: str
) -> None:
    video, truth = record(tmp_path)
    truth.write_text(json.dumps(shown))
    assert said in failure(edgekit("tune", own, video, "--truth", truth))


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cost-false", 0), "--cost-false is 0, not a number above 0"),
        (("--cost-missed", "nan"), "--cost-missed is nan"),
        (("--cost-second", -1), "--cost-second is -1, not a number from 0 to 1e+06"),
    ],
)
def test_costs_that_mean_nothing(
    edgekit: Edgekit, own: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    video, truth = record(tmp_path)
    assert said in failure(edgekit("tune", own, video, "--truth", truth, *options))


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--drop-signature",), "--sign and --drop-signature are for the file of --into"),
        (("--json", "--output", "-"), "--json and --output - both print; give one"),
    ],
)
def test_options_that_contradict_each_other(
    edgekit: Edgekit, own: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    video, truth = record(tmp_path)
    assert said in usage(edgekit("tune", own, video, "--truth", truth, *options))


@pytest.mark.usefixtures("no_work")
def test_a_model_that_cannot_carry_a_recommendation(
    edgekit: Edgekit, model: Path, tmp_path: Path
) -> None:
    video, truth = record(tmp_path)
    done = edgekit("tune", model, video, "--truth", truth, "--into", tmp_path / "new.tflite")
    assert "was not made by edgekit, and carries no recommendation" in failure(done)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("option", ["--output", "--report", "--into"])
def test_nothing_that_is_read_is_overwritten(
    edgekit: Edgekit, own: Path, tmp_path: Path, option: str
) -> None:
    video, truth = record(tmp_path)
    for path in (video, truth):
        done = edgekit("tune", own, video, "--truth", truth, option, path)
        assert f"{path} is read here, and would be lost" in failure(done)
    other = "--output" if option == "--report" else "--report"
    new = tmp_path / "new"
    done = edgekit("tune", own, video, "--truth", truth, option, new, other, new)
    assert f"{new} is to be written twice" in failure(done)


# What only the frames tell.


def test_another_recordings_truth(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    turned = {"red": "green", "green": "blue", "blue": "red"}
    truth.write_text(json.dumps([turned[one] for one in _shown(16)]))
    said = failure(edgekit("tune", own, video, "--truth", truth, "--into", own))
    assert "right, no more than by chance; is" in said
    assert Classifier(own).recommended.smoothing is None


def test_labels_that_are_never_answered(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = write_video(tmp_path / "red.avi", ["red"] * 120), tmp_path / "t.csv"
    rows = [f"{place},{place + 0.5},{('blue', 'green')[place % 2]}" for place in range(12)]
    truth.write_text("\n".join(["start,end,label", *rows]))
    said = failure(edgekit("tune", own, video, "--truth", truth))
    assert "says blue, green, which the model answers to no frame of red.avi" in said


def test_a_truth_that_is_late_is_told(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    shown = _shown(16)
    truth.write_text(json.dumps(shown[:7] + shown[:-7]))
    done = edgekit("tune", own, video, "--truth", truth)
    assert "of the judged frames of door.avi right, which no settings mend" in done.stderr


def test_single_pictures_are_no_recordings(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    colours = ["red", "green"] * 5
    folder = write_pictures(tmp_path / "pictures", colours)
    words: list[object] = sorted(folder.iterdir())
    for number, colour in enumerate(colours):
        truth = tmp_path / f"{number}.json"
        truth.write_text(json.dumps([colour]))
        words += ["--truth", truth]
    said = failure(edgekit("tune", own, *words))
    assert said == "0000.png has a single frame, and a decision needs a course of them"


def test_intervals_behind_the_end(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    rows = [f"{place},{place + 1},{('red', 'green')[place % 2]}" for place in range(30)]
    truth.write_text("\n".join(["start,end,label", *rows]))
    said = failure(edgekit("tune", own, video, "--truth", truth))
    assert "10 of 30 intervals of" in said
    assert "lie behind the end of door.avi" in said


def test_a_copy_of_a_recording_counts_once(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    copy = tmp_path / "copy.avi"
    copy.write_bytes(video.read_bytes())
    done = edgekit("tune", own, video, copy, "--truth", truth, "--truth", truth)
    assert failure(done) == "door.avi and copy.avi have the same frames; each recording counts once"


def test_what_is_not_judged_is_told(edgekit: Edgekit, own: Path, tmp_path: Path) -> None:
    video, truth = record(tmp_path)
    rows = [f"{12 * place},{12 * place + 6},{one}" for place, one in enumerate(_shown(16)[::12])]
    truth.write_text("\n".join(["start_frame,end_frame,label", *rows]))
    done = edgekit("tune", own, video, "--truth", truth)
    assert "door.json says nothing of 50.0% of the frames of door.avi" in done.stderr


def test_an_interruption_leaves_nothing_behind(
    edgekit: Edgekit, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, truth = record(tmp_path)
    before = sorted(tmp_path.iterdir()), own.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "tune", interrupted)
    done = edgekit(
        "tune", own, video, "--truth", truth, "--into", own,
        "--output", tmp_path / "t.toml", "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert done.exit_code == 1
    assert (sorted(tmp_path.iterdir()), own.read_bytes()) == before
