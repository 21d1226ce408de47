"""`edgekit tune`: find decision settings for labelled recordings."""

from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.commands.options import (
    Opening,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.errors import DatasetError
from edgekit.files import check_outputs, write_atomically
from edgekit.inference.classifier import Classifier
from edgekit.model.decision import DecisionSettings, Recommendation
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.truth import Truth, read_truth
from edgekit.offline.tuning import checks, summary
from edgekit.offline.tuning.candidates import lowest_enter
from edgekit.offline.tuning.into_model import Target
from edgekit.offline.tuning.objective import PREFERENCES, Cost
from edgekit.offline.tuning.page import render_tuning
from edgekit.offline.tuning.scores import Scores, gather
from edgekit.offline.tuning.snippet import overrides, toml
from edgekit.offline.tuning.trade_off import drawn, trade_off
from edgekit.offline.tuning.tuner import Tuned, tune
from edgekit.text import percent

_STDOUT = Path("-")
# Recordings of which it is printed how right the model is.
_SHOWN = 10


@click.command("tune")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument(
    "paths", metavar="RECORDING…", type=click.Path(path_type=Path), nargs=-1, required=True
)
@click.option(
    "--truth",
    "truths",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    required=True,
    help="What a recording shows, as for edgekit evaluate; once for each, in their order.",
)
@click.option(
    "--prefer",
    type=click.Choice(list(PREFERENCES)),
    default="balanced",
    show_default=True,
    help="What matters: " + "; ".join(str(cost) for cost in PREFERENCES.values()) + ".",
)
@click.option("--cost-false", type=float, help="Cost of a false event, in place of that.")
@click.option("--cost-missed", type=float, help="Cost of a missed event, in place of that.")
@click.option("--cost-second", type=float, help="Cost of a second of delay, in place of that.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write the settings as a configuration (TOML); - prints that and nothing else.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the model with the settings as its recommendation: MODEL itself, or a new file.",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="KEY",
    help="Sign the file of --into with this OpenSSH key, as edgekit sign does.",
)
@click.option(
    "--drop-signature",
    is_flag=True,
    help="Write the file of --into unsigned, though MODEL is signed.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page: figures before and after, and the trade-off.",
)
@runtime_options
@config_option
@settings_of(Recorded)
@json_option
def command(
    model: Path,
    paths: tuple[Path, ...],
    truths: tuple[Path, ...],
    prefer: str,
    cost_false: float | None,
    cost_missed: float | None,
    cost_second: float | None,
    output: Path | None,
    into: Path | None,
    key: Path | None,
    drop_signature: bool,
    report: Path | None,
    opening: Opening,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Find decision settings for MODEL on labelled recordings.

    Each RECORDING is a clip, a video or an image folder, with a truth as `edgekit evaluate` takes
    it. The model answers each frame once; then thousands of settings are tried on its scores, and
    judged as `evaluate` judges them. A setting is changed only where that pays on parts of the
    recordings that did not choose it, by more than chance explains; the rest stays as it is: as
    --config and --decision-… say, or the model file recommends, or by default.

    \b
    Examples:
      edgekit tune resnet18-int8.tflite door.clip --truth door.csv
      edgekit tune resnet18-int8.tflite day.mp4 night.mp4 --truth day.csv --truth night.csv \\
          --prefer few-false --output tuned.toml --report tuned.html
      edgekit tune resnet18-int8.tflite door.clip --truth door.csv --into resnet18-int8.tflite
    """
    if len(paths) != len(truths):
        raise click.UsageError(
            f"{len(paths)} recordings and {len(truths)} truths; give --truth once for each "
            "recording, in their order"
        )
    if into is None and (key is not None or drop_signature):
        raise click.UsageError("--sign and --drop-signature are for the file of --into")
    if key is not None and drop_signature:
        raise click.UsageError("--sign makes a signature, and --drop-signature none; give one")
    if as_json and output == _STDOUT:
        raise click.UsageError("--json and --output - both print; give one")
    cost = _cost(prefer, cost_false, cost_missed, cost_second)
    checks.check_distinct(paths)
    file = None if output == _STDOUT else output
    # The model's own file is the only one that may be read and written.
    new = None if into is None or into.resolve() == model.resolve() else into
    check_outputs([file, report, new], [model, *paths, *truths, opening.labels, config, key])
    target = Target.check(model, into, key, drop_signature) if into is not None else None
    classifier = opening.open(model, config)
    if target is not None and target.model.sha256 != classifier.sha256:
        raise DatasetError(f"{model} was replaced meanwhile; begin again")
    options = given(Recorded, values)
    settled = decision_settings(config, options, None, classifier)
    notify(f"decision now: {settled}")
    base = settled.settings
    known = [read_truth(path, classifier.labels) for path in truths]
    checks.check_truths(known, truths)
    view = view_settings(config, options)
    recordings = [Recording(path, view) for path in paths]
    frames = [frame for recording in recordings for frame in recording.files]
    check_outputs([file, report, new], frames)
    for recording, truth, path in zip(recordings, known, truths, strict=True):
        checks.check_length(recording, truth, path, notify)
    quiet = as_json or output == _STDOUT
    scores = [
        _scores(recording, truth, path, classifier, base, quiet)
        for recording, truth, path in zip(recordings, known, truths, strict=True)
    ]
    checks.check_together(scores, notify)
    tuned = tune(scores, base, cost)
    # Alone, or in the place of what a configuration says now.
    alone = decision_settings(None, {}, None, classifier).settings
    said = overrides(tuned.settings, alone, base)
    text = toml(tuned.settings, said, _comments(tuned, model))
    found = trade_off(tuned)
    if report is not None:
        facts = {
            "Model": f"{model.name}, SHA-256 {classifier.sha256}",
            "Runtime": f"{classifier.runtime_name} on {classifier.accelerator}",
        }
        write_atomically(report, render_tuning(tuned, found, model.name, text, facts).encode())
    if target is not None:
        target.write(_recommendation(tuned), classifier.labels)
    if file is not None:
        write_atomically(file, text.encode())
    if output == _STDOUT:
        click.echo(text, nl=False)
    elif as_json:
        about = {"model": model.name, "sha256": classifier.sha256}
        click.echo(msgspec.json.encode(about | summary.as_json(tuned, found, text)).decode())
    else:
        _print(tuned, drawn(found))
        click.echo(f"\n{text}" if file is None else "", nl=False)
    _tell_files(target, file, report, hidden=quiet)


def _cost(prefer: str, false: float | None, missed: float | None, second: float | None) -> Cost:
    named = PREFERENCES[prefer]
    if false is missed is second is None:
        return named
    return Cost(
        named.false if false is None else false,
        named.missed if missed is None else missed,
        named.second if second is None else second,
    )


def _scores(
    recording: Recording,
    truth: Truth,
    path: Path,
    classifier: Classifier,
    base: DecisionSettings,
    hidden: bool,
) -> Scores:
    """A recording's scores, computed once."""
    player = Player(recording.name, recording.header, classifier, base)
    prepared = progress(recording, f"answering {recording.name}", player.prepare, hidden)
    ignored = frozenset(label for label, rule in base.labels.items() if rule.ignore)
    scores = gather(
        recording.name,
        map(player.play, prepared),
        truth,
        classifier.labels,
        ignored,
        lowest_enter(base),
    )
    checks.check_scores(scores, truth, path, sorted(ignored), notify)
    return scores


def _recommendation(tuned: Tuned) -> Recommendation:
    return Recommendation(
        decision=overrides(tuned.settings, DecisionSettings()),
        objective=str(tuned.cost),
        recordings=len(tuned.parts.recordings),
        events=len(tuned.parts.events),
        span=round(sum(one.span for one in tuned.parts.recordings), 3),
    )


def _comments(tuned: Tuned, model: Path) -> list[str]:
    recordings = tuned.parts.recordings
    frames, span = sum(one.frames for one in recordings), sum(one.span for one in recordings)
    return [
        f"Found by edgekit tune for {model.name}:",
        f"{tuned.cost}.",
        f"{len(tuned.parts.events)} events in {span:.1f} s, at {frames / span:.3g} frames a "
        "second, which smoothing counts.",
    ]


def _print(tuned: Tuned, plot: str) -> None:
    recordings = tuned.parts.recordings
    span = sum(one.span for one in recordings)
    click.echo(f"objective   {tuned.cost}")
    click.echo(
        f"recordings  {len(recordings)}, {len(tuned.parts.events)} events in {span:.1f} s, in "
        f"{tuned.parts.count} parts"
    )
    right = ", ".join(percent(one.right) for one in recordings[:_SHOWN])
    more = ", …" if len(recordings) > _SHOWN else ""
    click.echo(f"model       {right}{more} of the judged frames right by itself")
    click.echo(f"settings    {len(tuned.tried.settings):,} tried\n")
    click.echo(summary.table(summary.settings_lines(tuned), ("", "now", "recommended")))
    click.echo()
    click.echo(summary.table(summary.figures_lines(tuned), ("", "now", "on parts left out")))
    click.echo(f"\n{summary.verdict(tuned)}\n")
    click.echo("events in vain an hour, against seconds until an event is told (o now, x then):")
    click.echo(plot)


def _tell_files(
    target: Target | None, file: Path | None, report: Path | None, hidden: bool
) -> None:
    if not hidden:
        for name, path in (("settings", file), ("report", report)):
            if path is not None:
                click.echo(f"{name:<11} {path}")
    if target is None:
        return
    if not hidden:
        signed = ", signed" if target.key else ", not signed"
        click.echo(f"{'model':<11} {target.into}{signed if target.model.signature else ''}")
    if target.sibling is not None:
        notify(
            f"{target.sibling.name} beside it is without the recommendation; run this on it, too, "
            "or put the settings into the configuration"
        )
