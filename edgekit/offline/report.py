"""The page about an evaluated recording: one file that runs no script and loads nothing."""

import html
import statistics
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from edgekit.inference.events import UNKNOWN
from edgekit.offline import timeline
from edgekit.offline.evaluation import Found, VideoEvaluation
from edgekit.offline.mistakes import Mistake
from edgekit.offline.timeline import COLOURS, clock

# Intervals in the table: of more, those that were found last or not at all.
_MOST_INTERVALS = 100
# Classes in the matrix: of more, those with the most frames.
_MOST_CLASSES = 40


@dataclass(frozen=True)
class Context:
    """What was evaluated, for the reader.

    Attributes:
        recording, model: names.
        facts: what else there is to know, by name.
    """

    recording: str
    model: str
    facts: dict[str, str]


def render(result: VideoEvaluation, context: Context) -> str:
    """The page."""
    labels = classes(result)
    return Template(files(__package__).joinpath("report.html").read_text("utf-8")).substitute(
        title=html.escape(f"{context.recording} with {context.model} – edgekit evaluation"),
        heading=html.escape(context.recording),
        subtitle=html.escape(
            f"evaluated with {context.model}: {result.frames:,} frames, "
            f"{clock(result.span, fine=True)}"
        ),
        figures=_figures(result),
        key=_key(labels),
        timeline=timeline.render(result.truths, result.decisions, labels),
        intervals=_intervals(result.found),
        confusion=_confusion(result),
        mistakes=_mistakes(result),
        facts="\n".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
            for name, value in context.facts.items()
        ),
    )


def classes(result: VideoEvaluation) -> list[str]:
    """The labels that occur, those of most frames first."""
    frames: dict[str, int] = {}
    for run in (*result.truths, *result.decisions):
        if run.label not in (None, UNKNOWN):
            frames[str(run.label)] = frames.get(str(run.label), 0) + run.frames
    return sorted(frames, key=lambda label: (-frames[label], label))


def percent(part: float) -> str:
    """As `99.2%`; what is not all, or not nothing, does not look like it."""
    tenths = round(1000 * part)
    tenths = 999 if tenths == 1000 and part < 1 else 1 if tenths == 0 and part > 0 else tenths
    return f"{tenths / 10:.1f}%"


def _range(interval: tuple[float, float]) -> str:
    return f"95% interval {100 * interval[0]:.0f}–{100 * interval[1]:.0f}%"


def _figures(result: VideoEvaluation) -> str:
    _, recall_range = result.recall()
    _, precision_range = result.precision()
    delays = result.delays
    slow = f"slowest {delays[-1]:.2f} s" if delays else "nothing was found"
    shown = [
        ("Frames decided right", percent(result.decided.part),
         _range(result.decided.interval())),
        ("Model alone right", percent(result.model.part), _range(result.model.interval())),
        ("Intervals found", f"{len(delays)} of {len(result.found)}",
         _range(recall_range)),
        ("Answers right", f"{result.right_answers} of {result.answers}",
         _range(precision_range)),
        ("Delay, median", f"{statistics.median(delays):.2f} s" if delays else "–", slow),
    ]  # fmt: skip
    return "\n".join(
        f'<div><dt>{name}</dt><dd><span class="figure">{value}</span>'
        f'<span class="small">{note}</span></dd></div>'
        for name, value, note in shown
    )


def _key(labels: Sequence[str]) -> str:
    parts = []
    for number, label in enumerate(labels[:COLOURS]):
        swatch = f'<span class="swatch c{number}"></span>'
        parts.append(f"<span>{swatch}{html.escape(label)}</span>")
    parts += [
        f'<span><span class="swatch none"></span>{UNKNOWN}</span>',
        '<span><span class="swatch bad"></span>wrong</span>',
    ]
    return "".join(parts)


def _intervals(found: Sequence[Found]) -> str:
    shown = list(found)
    note = ""
    if len(shown) > _MOST_INTERVALS:
        shown = sorted(found, key=lambda one: float("inf") if one.delay is None else one.delay)
        shown = shown[-_MOST_INTERVALS:][::-1]
        note = f"The {_MOST_INTERVALS} that were found last, or not, of {len(found):,}."
    rows = []
    for one in shown:
        delay = (
            '<td class="number miss">missed</td>'
            if one.delay is None
            else f'<td class="number">{one.delay:.2f} s</td>'
        )
        rows.append(
            f"<tr><th scope=row>{html.escape(one.interval.label)}</th>"
            f'<td class="number">{one.interval.start:g}</td>'
            f'<td class="number">{one.interval.end:g}</td>{delay}</tr>'
        )
    return (
        f'<p class="small">Delay: from an interval\'s first frame to the first right answer in it. '
        f"{note}</p>"
        '<div class="scroll" role="region" aria-label="Intervals" tabindex="0"><table><thead><tr>'
        '<th scope=col>Truth</th><th scope=col class="number">Start</th>'
        '<th scope=col class="number">End</th><th scope=col class="number">Delay</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _confusion(result: VideoEvaluation) -> str:
    truths: dict[str, int] = {}
    answers: dict[str, int] = {}
    for (truth, answer), count in result.confusion.items():
        truths[truth] = truths.get(truth, 0) + count
        answers[answer] = answers.get(answer, 0) + count
    kept = sorted(sorted(truths, key=lambda label: -truths[label])[:_MOST_CLASSES])
    others = [label for label in sorted(answers) if label not in kept]
    columns = [*kept, *others[:_MOST_CLASSES]]
    head = "".join(f'<th scope=col class="number">{html.escape(label)}</th>' for label in columns)
    rows = []
    for truth in kept:
        cells = []
        for answer in columns:
            count = result.confusion[truth, answer]
            kind = "zero" if not count else "hit" if truth == answer else "miss"
            cells.append(f'<td class="number {kind}">{count or "·"}</td>')
        right = result.confusion[truth, truth] / truths[truth]
        cells.append(f'<td class="number total">{percent(right)}</td>')
        rows.append(f"<tr><th scope=row>{html.escape(truth)}</th>{''.join(cells)}</tr>")
    return (
        '<div class="scroll" role="region" aria-label="Confusion matrix" tabindex="0"><table>'
        f'<thead><tr><th scope=col>Truth</th>{head}<th scope=col class="number total">right</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _mistakes(result: VideoEvaluation) -> str:
    if not result.mistake_count:
        return "<p>None.</p>"
    shown = result.mistakes
    which = (
        f"All {len(shown)}"
        if len(shown) == result.mistake_count
        else f"The longest {len(shown)} of {result.mistake_count:,}"
    )
    note = (
        f'<p class="small">{which}, in their order; each picture is the frame where the wrong '
        'answer was surest. <span class="tag">late</span> the interval had just begun, and the '
        "right answer followed.</p>"
    )
    return f'{note}<ul class="pictures">{"".join(_mistake(one) for one in shown)}</ul>'


def _mistake(one: Mistake) -> str:
    late = ' <span class="tag">late</span>' if one.late else ""
    own = ", ".join(f"{html.escape(label)} {score:.2f}" for label, score in one.scores)
    frames = f"{one.frames} frame" if one.frames == 1 else f"{one.frames} frames"
    return (
        f'<li><img src="data:image/jpeg;base64,{b64encode(one.jpeg).decode()}" '
        f'alt="frame that shows {html.escape(one.truth)}" loading="lazy">'
        f'<dl><dt>answer</dt><dd class="answer">{html.escape(one.answer)}</dd>'
        f"<dd>{one.score:.2f}</dd><dt>truth</dt><dd>{html.escape(one.truth)}</dd></dl>"
        f'<p class="when">model alone: {own}</p>'
        f'<p class="when">{clock(one.start, fine=True)} to {clock(one.end, fine=True)}, '
        f"{frames} from {one.first:,}{late}</p></li>"
    )
