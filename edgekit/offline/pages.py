"""The pages about an evaluated recording, and about two models that were compared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from edgekit import __version__
from edgekit.inference.classifier import Classifier
from edgekit.inference.events import UNKNOWN, timestamp
from edgekit.model.container import read_model
from edgekit.model.settled import Settled
from edgekit.offline import timeline
from edgekit.offline.comparison import Comparison, Disagreement
from edgekit.offline.confusion import confusion
from edgekit.offline.drift_course import DriftCourse, advice, in_lines
from edgekit.offline.evaluation import Found, RecordingEvaluation
from edgekit.offline.timeline import COLOURS, Span, labels_of
from edgekit.report.page import TINY, Figure, render
from edgekit.text import listed, percent
from edgekit.vision.encode import encode_jpeg

# Intervals in the table: of more, those that were found last or not at all.
_MAX_INTERVALS = 100
# Recordings whose timelines are shown: of more, the first.
_MAX_TIMELINES = 10
# Recordings that are named.
_NAMED = 5


def render_evaluation(
    result: RecordingEvaluation,
    settled: Settled,
    drift: DriftCourse,
    recording: str,
    model: str,
    facts: Mapping[str, str],
) -> str:
    """The page: one file that runs no script and loads nothing.

    Args:
        result: what was measured.
        settled: the decision settings.
        drift: what was told of it.
        recording, model: names.
        facts: how it was measured, by name.
    """
    labels = labels_of(result.truths, result.decisions)
    return render(
        __package__,
        "evaluation.html.j2",
        {
            "result": result,
            "decisions": [settled],
            "drift": drift,
            "advice": advice,
            "recording": recording,
            "model": model,
            "facts": {**facts, "Drift": _drift_fact({recording: drift})},
            "figures": _evaluation_figures(result),
            "labels": labels,
            "colours": COLOURS,
            "unknown": UNKNOWN,
            "rows": timeline.rows(result.truths, result.decisions, labels, bands=_bands(drift)),
            "confusion": confusion(result.confusion),
            "intervals": _latest(result.found),
        },
    )


def render_comparison(
    result: Comparison,
    decisions: Sequence[Settled],
    recording: str,
    a: Classifier,
    b: Classifier,
    facts: Mapping[str, str],
) -> str:
    """The page: one file that runs no script and loads nothing.

    Args:
        result: what was found.
        decisions: the settings that held for some recording and model, each once.
        recording: name of the recording, or of the folder of clips.
        a, b: the models.
        facts: how they were compared, by name.

    Raises:
        ModelFileError: a model's file can no longer be read.
    """
    labels = labels_of(*(runs for one in result.recordings for runs in (one.a, one.b)))
    shown = result.recordings[:_MAX_TIMELINES]
    words = "A {upper}, B {lower}"
    return render(
        __package__,
        "comparison.html.j2",
        {
            "result": result,
            "decisions": decisions,
            "recording": recording,
            "a": a.path.name,
            "b": b.path.name,
            "models": [*_model_facts(a, b), *_answer_facts(result)],
            "facts": facts,
            "figures": _comparison_figures(result),
            "labels": labels,
            "colours": COLOURS,
            "unknown": UNKNOWN,
            "timelines": [
                (one, timeline.rows(one.a, one.b, labels, words, _bands(*one.drift)))
                for one in shown
            ],
            "advice": advice,
            "drifts": any(course.told for one in shown for course in one.drift),
            "confusion": confusion(result.answers),
            "classes": result.per_class(),
            "cards": [_card(one) for one in result.disagreements],
        },
    )


class _Card(NamedTuple):
    """A disagreement with its picture as a JPEG file; a tiny one is enlarged."""

    found: Disagreement
    jpeg: bytes
    tiny: bool


def _card(found: Disagreement) -> _Card:
    return _Card(found, encode_jpeg(found.picture), found.picture.shape[1] < TINY)


def _model_facts(a: Classifier, b: Classifier) -> list[tuple[str, str, str]]:
    """What there is to know about both models: a name, of A, of B."""
    columns = []
    for one in (a, b):
        model = read_model(one.path)
        manifest, geometry = model.manifest, one.geometry
        columns.append(
            {
                "File": one.path.name,
                "SHA-256": one.sha256,
                "Architecture": manifest.arch if manifest else "not made by edgekit",
                "Weights": manifest.weights if manifest else "–",
                "Classes": f"{len(one.labels):,}",
                "Input": f"{geometry.width} × {geometry.height}",
                "Runtime": f"{one.runtime_name} on {one.accelerator}",
            }
        )
    of_a, of_b = columns
    if a.confidence or b.confidence:
        for one, column in zip((a, b), columns, strict=True):
            column["Calibration in the file"] = str(one.confidence or "–")
    return [(name, of_a[name], of_b[name]) for name in of_a]


def _answer_facts(result: Comparison) -> list[tuple[str, str, str]]:
    """What their answers say about both models: a name, of A, of B."""
    of_a, of_b = result.mean_scores
    drift_a, drift_b = (
        _drift_fact({one.name: one.drift[side] for one in result.recordings}) for side in (0, 1)
    )
    return [("Mean best score", f"{of_a:.3f}", f"{of_b:.3f}"), ("Drift", drift_a, drift_b)]


def _drift_fact(courses: Mapping[str, DriftCourse]) -> str:
    """In short, where something was told: the timeline and what stands below it say it all."""
    told = [name for name, course in courses.items() if course.told]
    if told and len(courses) > 1:
        return f"told on {len(told)} of {len(courses)} recordings: {listed(told, _NAMED)}"
    return "told, see the timeline" if told else "; ".join(in_lines(courses))


def _bands(*courses: DriftCourse) -> list[list[Span]]:
    """A lane of the timeline for the drift of each model; none where none was told."""
    return [one.spans() for one in courses] if any(one.told for one in courses) else []


def _comparison_figures(result: Comparison) -> list[Figure]:
    changes_a, changes_b = result.changes
    return [
        Figure(
            "The same decided",
            percent(result.decided.value),
            _interval_note(result.decided.interval()),
        ),
        Figure(
            "The same best class",
            percent(result.model.value),
            _interval_note(result.model.interval()),
        ),
        Figure("Disagreements", f"{result.disagreement_count:,}", "stretches of frames"),
        Figure("Changes decided", f"{changes_a} and {changes_b}", "by A and by B"),
    ]


def provenance(
    decisions: Iterable[str], notes: Sequence[str], span: float, seconds: float
) -> dict[str, str]:
    """Facts that both pages have.

    Args:
        decisions: how scores became labels, in words.
        notes: what is peculiar about the recordings.
        span, seconds: how long the recordings are, and how long it took.
    """
    facts = {
        "Decision": "; ".join(decisions),
        "Took": f"{seconds:.1f} s, {span / seconds:.1f} x real time",
        "Made": f"{timestamp()} by edgekit {__version__}",
    }
    return {**facts, "Notes": "; ".join(notes)} if notes else facts


def _interval_note(interval: tuple[float, float]) -> str:
    """A 95 % interval as a figure's note."""
    return f"95% interval {100 * interval[0]:.0f}–{100 * interval[1]:.0f}%"


def _evaluation_figures(result: RecordingEvaluation) -> list[Figure]:
    found, delay = len(result.delays), result.median_delay()
    return [
        Figure(
            "Frames decided right",
            percent(result.decided.value),
            _interval_note(result.decided.interval()),
        ),
        Figure(
            "Model alone right",
            percent(result.model.value),
            _interval_note(result.model.interval()),
        ),
        Figure(
            "Intervals found",
            f"{found} of {len(result.found)}",
            _interval_note(result.recall()[1]),
        ),
        Figure(
            "Answers right",
            f"{result.right_answers} of {result.answers}",
            _interval_note(result.precision()[1]),
        ),
        Figure("Delay, median", "–", "nothing was found")
        if delay is None
        else Figure("Delay, median", f"{delay:.2f} s", f"slowest {result.delays[-1]:.2f} s"),
    ]


def _latest(found: Sequence[Found]) -> list[Found]:
    """All intervals in their order; of too many, those found last or not at all, first of all."""
    if len(found) <= _MAX_INTERVALS:
        return list(found)
    delays = [float("inf") if one.delay is None else one.delay for one in found]
    order = sorted(range(len(found)), key=lambda place: delays[place])
    return [found[place] for place in reversed(order[-_MAX_INTERVALS:])]
