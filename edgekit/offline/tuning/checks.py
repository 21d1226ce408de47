"""What recordings and truths have to be, so that settings found with them mean something."""

from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.errors import DatasetError
from edgekit.inference.events import UNKNOWN
from edgekit.model.decision import DecisionSettings
from edgekit.offline.recording import Recording
from edgekit.offline.truth import Truth
from edgekit.offline.tuning.judging import Outcomes
from edgekit.offline.tuning.scores import NEGLIGIBLE, Scores
from edgekit.text import listed, percent

# Intervals of the truth without which nothing can be told apart.
FEWEST_EVENTS = 10
_SHOWN = 5
# Fraction of frames below which it is told how much is not judged.
_MOST_JUDGED = 0.8
# Rates that differ by more make the smoothing, which counts frames, mean another time.
_SAME_RATE = 1.5
# What a video says of its length is an estimate; truths of other recordings differ by more.
_ABOUT = 0.1


def check_distinct(recordings: Sequence[Path]) -> None:
    """Refuse recordings that are named twice.

    Raises:
        DatasetError: one is.
    """
    known = set()
    for path in recordings:
        if path.exists():
            status = path.stat()
            file = status.st_dev, status.st_ino
            if file in known:
                raise DatasetError(f"{path} is named twice; each recording counts once")
            known.add(file)


def check_truths(truths: Sequence[Truth], paths: Sequence[Path]) -> None:
    """Refuse truths that settings cannot be told apart with.

    Raises:
        DatasetError: they have too few events, or of one label alone.
    """
    labels = [interval.label for truth in truths for interval in truth.intervals]
    named = listed([str(path) for path in paths], _SHOWN)
    if len(labels) < FEWEST_EVENTS:
        raise DatasetError(
            f"{named}: {len(labels)} intervals are too few to tell settings apart; it takes "
            f"{FEWEST_EVENTS}, and better some dozens: label more, or record more"
        )
    if len(set(labels)) == 1:
        raise DatasetError(
            f"{named}: all intervals are of {labels[0]!r}, so that no answer could be wrong; label "
            f"what else there is to see, {UNKNOWN} say"
        )


def check_length(
    recording: Recording, truth: Truth, path: Path, notify: Callable[[str], None]
) -> None:
    """Refuse a truth for many more frames, or fewer, than a recording says that it has.

    Args:
        recording: it.
        truth: what it should show.
        path: of the truth, for messages.
        notify: told what is to be known.

    Raises:
        DatasetError: it is.
    """
    if recording.path.is_dir():
        notify(
            f"{recording.name}: each picture counts as a second, so that delays and hold are in "
            "pictures, too"
        )
    length = 0 if recording.header is not None else recording.length
    if not length:
        return
    first = truth.intervals[0].start if truth.in_frames else 0
    if truth.frames is not None and abs(truth.frames - length) > _ABOUT * length:
        _refuse_length(recording.name, length, truth.frames, path)
    if first > (1 + _ABOUT) * length:
        raise DatasetError(
            f"{path} begins at frame {first:g}, and {recording.name} has {length}; is it another "
            "recording's?"
        )


def check_scores(
    scores: Scores, truth: Truth, path: Path, ignored: Sequence[str], notify: Callable[[str], None]
) -> None:
    """Refuse a recording and a truth that do not belong together.

    Args:
        scores: of the recording.
        truth: what it should show.
        path: of the truth, for messages.
        ignored: labels that are never decided.
        notify: told what is to be known.

    Raises:
        DatasetError: there is a single frame, the truth is for another number of frames, intervals
            lie behind the end, or the model does not see what it says.
    """
    name = scores.name
    if not scores.span:
        raise DatasetError(f"{name} has a single frame, and a decision needs a course of them")
    if truth.frames is not None and truth.frames != scores.frames:
        _refuse_length(name, scores.frames, truth.frames, path)
    if scores.unseen:
        raise DatasetError(
            f"{scores.unseen} of {len(truth.intervals)} intervals of {path} lie behind the end of "
            f"{name}, or between its frames; is it another recording's? Else shorten it"
        )
    labels = sorted({interval.label for interval in truth.intervals} - {UNKNOWN})
    if labels and not scores.answers & set(labels):
        raise DatasetError(
            f"{path} says {listed(labels, _SHOWN)}, which the model answers to no frame of {name}; "
            "is it another recording's truth?"
        )
    if labels and scores.right <= scores.by_chance and scores.right < 0.5:
        raise DatasetError(
            f"the model alone answers {percent(scores.right)} of the judged frames of {name} "
            f"right, no more than by chance; is {path} another recording's truth?"
        )
    if labels and scores.right < 0.5:
        notify(
            f"the model alone answers {percent(scores.right)} of the judged frames of {name} "
            f"right, which no settings mend; are the times of {path} those of the recording?"
        )
    if scores.judged < _MOST_JUDGED * scores.frames:
        notify(
            f"{path} says nothing of {percent(1 - scores.judged / scores.frames)} of the frames of "
            f"{name}; what is told there counts neither as right nor as false: give them the "
            f"label of what they show, or {UNKNOWN}, where nothing is to be told"
        )
    if never := sorted(set(labels) & set(ignored)):
        notify(f"{path} says {listed(never, _SHOWN)}, which the settings ignore: always missed")
    if scores.rounded:
        notify(f"{name}: to save memory, scores below {NEGLIGIBLE:g} count as 0")


def _refuse_length(name: str, frames: int, labels: int, path: Path) -> None:
    raise DatasetError(
        f"{path} has labels for {labels} frames, and {name} has {frames}; is it another "
        "recording's truth?"
    )


def check_together(all_scores: Sequence[Scores], notify: Callable[[str], None]) -> None:
    """Refuse copies of a recording, and tell when frames are not equally long everywhere.

    Raises:
        DatasetError: two recordings have the same frames.
    """
    for place, one in enumerate(all_scores):
        for other in all_scores[:place]:
            if one.digest == other.digest:
                raise DatasetError(
                    f"{other.name} and {one.name} have the same frames; each recording counts once"
                )
    rates = sorted(one.frames / one.span for one in all_scores if one.span)
    if rates and rates[-1] > _SAME_RATE * rates[0]:
        notify(
            f"the recordings have {rates[0]:.3g} to {rates[-1]:.3g} frames a second; smoothing "
            "counts frames, so record as many a second as the camera gives"
        )


def check_tried(settings: Sequence[DecisionSettings], outcomes: Outcomes) -> None:
    """Refuse recordings on which nothing is answered, or nothing goes wrong by being quick.

    Args:
        settings: all that were tried; the first is the one that holds now.
        outcomes: of each.

    Raises:
        DatasetError: they are such.
    """
    if not outcomes.answers.any():
        raise DatasetError(
            "no setting answers anything on these recordings: the model is never sure enough"
        )
    now = settings[0]
    quick = outcomes.of(
        [
            place
            for place, one in enumerate(settings)
            if one.smoothing <= now.smoothing and one.enter <= now.enter and one.hold <= now.hold
        ]
    )
    if not (quick.false.any() or quick.repeated.any()):
        raise DatasetError(
            "no setting, however quick, gives a false event on these recordings, so that they do "
            f"not show what it costs to be quick; label frames on which nothing is to be told "
            f"({UNKNOWN}), or record what is hard"
        )
