"""`edgekit replay`: the same frames, the same answers?"""

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
from edgekit.errors import ReplayDiffersError
from edgekit.files import check_outputs
from edgekit.inference.classifier import Classifier
from edgekit.model.settled import Settled
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.decisions_used import summary
from edgekit.offline.drift_course import in_lines
from edgekit.offline.golden import shown
from edgekit.offline.recording import Recording
from edgekit.offline.replay import FRAMES, TOLERANCE, Expectation, Replay, verify


@click.command("replay")
@click.argument("path", metavar="RECORDING", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Model file to run.")
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the events that must come; without it, a clip's own events at the time.",
)
@click.option("--update", is_flag=True, help="Write --golden anew from this replay.")
@click.option("--any-model", is_flag=True, help="Accept a --golden that another model made.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=TOLERANCE,
    show_default=True,
    help="Most that scores may differ by.",
)
@click.option(
    "--frames",
    type=click.IntRange(0),
    default=FRAMES,
    show_default=True,
    help="Most frames that an event may come early or late.",
)
@runtime_options
@config_option
@settings_of(Recorded)
@json_option
def command(
    path: Path,
    model: Path,
    golden: Path | None,
    update: bool,
    any_model: bool,
    tolerance: float,
    frames: int,
    opening: Opening,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Play RECORDING to a model as the daemon would, and compare what it decides.

    RECORDING is a clip from `edgekit record`, finished or cut off, a video or an image folder. It
    goes through the daemon's own preprocessing, runtime and decision, as fast as possible and in
    its own time, so that the same frames give the same events on every run. A clip also brings
    the decision settings of its day, and the hash of every input.

    Prints the changes of the decided label, or how they differ from those expected; the exit code
    is 1 when they do.

    \b
    Examples:
      edgekit replay door.clip --model resnet18-int8.tflite
      edgekit replay door.clip --model resnet18-int8.tflite --golden door.json --update
      edgekit replay door.clip --model better.tflite --golden door.json --any-model
    """
    if update and golden is None:
        raise click.UsageError("--update needs --golden")
    options = given(Recorded, values)
    recording = Recording(path, view_settings(config, options))
    if update:
        check_outputs([golden], [model, opening.labels, config, *recording.files])
    classifier = opening.open(model, config)
    settled = decision_settings(config, options, recording.header, classifier)
    notify(f"decision: {settled}")
    found, lines = verify(
        recording,
        classifier,
        settled.settings,
        Expectation(golden, update, any_model, tolerance, frames),
        hidden=as_json,
    )
    if update:
        notify(f"wrote {len(found.changes)} changes to {golden}")
        return
    if as_json:
        click.echo(
            msgspec.json.encode(_summary(recording, classifier, settled, found, lines)).decode()
        )
    else:
        _print(recording, classifier, found, lines)
    if lines:
        raise ReplayDiffersError(
            f"{len(lines)} events differ from {golden or 'what was decided at the time'}"
        )


def _summary(
    recording: Recording,
    classifier: Classifier,
    settled: Settled,
    found: Replay,
    lines: list[str] | None,
) -> dict[str, Any]:
    return {
        "recording": recording.name,
        "model": classifier.path.name,
        "model_sha256": classifier.sha256,
        "runtime": classifier.runtime_name,
        "decision": summary(settled),
        "view": recording.view,
        "sees": None if found.look is None else found.look.sees,
        "frames": found.frames,
        "span_s": round(found.span, 3),
        "seconds": round(found.seconds, 3),
        "inputs_differ": found.inputs_differ if recording.header else None,
        "changes": found.changes,
        "drift": found.drift.summary(),
        "differences": lines,
        "notes": recording.notes,
    }


def _print(
    recording: Recording, classifier: Classifier, found: Replay, lines: list[str] | None
) -> None:
    header = recording.header
    if header is not None and header.model_sha256 != classifier.sha256:
        notify(f"recorded with another model: {header.model} ({header.model_sha256[:12]})")
    if found.look is not None and found.look.is_worth_telling:
        notify(f"view: the model {found.look}")
    if header is not None and header.view.region != recording.view.region:
        notify("view: it looked elsewhere when this was recorded; inputs are not compared")
    if found.inputs_differ:
        notify(
            f"the input differs from the recorded one in {found.inputs_differ} of {found.frames} "
            "frames: this OpenCV prepares pictures otherwise than the device's"
        )
    for line in [shown(change) for change in found.changes] if lines is None else lines:
        click.echo(line)
    for line in in_lines({recording.name: found.drift}):
        notify(f"drift: {line}")
    pace = f"{found.span / found.seconds:.1f} x real time, " if found.seconds else ""
    same = "" if lines is None else ", all as expected" if not lines else ""
    notify(
        f"{found.frames} frames, {found.span:.1f} s in {found.seconds:.1f} s ({pace}"
        f"{classifier.runtime_name}); {len(found.changes)} changes{same}"
    )
