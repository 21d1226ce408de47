"""`edgekit replay`: the same frames, the same answers?"""

from pathlib import Path
from typing import Any

import click

from edgekit.commands.many import Jobs, Many, jobs_options, open_here, settle_all, tell_one
from edgekit.commands.notify import notify
from edgekit.commands.options import (
    NumberRange,
    Opening,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.errors import ReplayDiffersError
from edgekit.files import check_outputs, write_atomically
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.recording import Recording
from edgekit.offline.recordings import Place, beside, several
from edgekit.offline.replay import FRAMES, TOLERANCE, Expectation, verify
from edgekit.offline.replaying import Replayed, Replaying, tell
from edgekit.offline.told import Told


@click.command("replay")
@click.argument(
    "paths", metavar="RECORDING…", type=click.Path(path_type=Path), nargs=-1, required=True
)
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Model file to run.")
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the events that must come; without it, a clip's own events at the time. Of "
    "several recordings, a folder with NAME.golden.json for each.",
)
@click.option("--update", is_flag=True, help="Write --golden anew from this replay.")
@click.option("--any-model", is_flag=True, help="Accept a --golden that another model made.")
@click.option(
    "--tolerance",
    type=NumberRange(0, 1),
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
@jobs_options
@runtime_options
@config_option
@settings_of(Recorded)
@json_option
def command(
    paths: tuple[Path, ...],
    model: Path,
    golden: Path | None,
    update: bool,
    any_model: bool,
    tolerance: float,
    frames: int,
    jobs: Jobs,
    opening: Opening,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Play RECORDING to a model as the daemon would, and compare what it decides.

    RECORDING is a clip from `edgekit record`, finished or cut off, a video, an image folder, or a
    folder of clips. It goes through the daemon's own preprocessing, runtime and decision, as fast
    as possible and in its own time, so that the same frames give the same events on every run. A
    clip also brings the decision settings of its day, and the hash of every input.

    Prints the changes of the decided label, or how they differ from those expected; the exit code
    is 1 when they do. Several recordings are replayed at once, each by itself; one that cannot be
    is told, and the exit code is 1 then, too.

    \b
    Examples:
      edgekit replay door.clip --model resnet18-int8.tflite
      edgekit replay door.clip --model resnet18-int8.tflite --golden door.json --update
      edgekit replay door.clip --model better.tflite --golden door.json --any-model
      edgekit replay clips/ --model better.tflite --golden goldens/ --any-model
    """
    if update and golden is None:
        raise click.UsageError("--update needs --golden")
    options = given(Recorded, values)
    expected = Expectation(golden, update, any_model, tolerance, frames)
    view = view_settings(config, options)
    recordings = several(paths, view, notify)
    if recordings is None:
        jobs.check_single()
        _replay_one(Recording(paths[0], view), model, expected, opening, config, options, as_json)
        return
    files = [file for recording in recordings for file in recording.files]
    expectations = [expected] * len(recordings)
    if golden is not None:
        goldens = beside(golden, recordings, lambda stem: golden / f"{stem}.golden.json")
        expectations = [expected._replace(golden=file) for file in goldens]
    if update:
        outputs = [one.golden for one in expectations]
        check_outputs(outputs, [model, opening.labels, config, *files])
    known = [one.read() for one in expectations]
    source = opening.source(model, config)
    classifier = open_here(source)
    settled = settle_all(recordings, classifier, config, options)
    items = [
        Replayed(Place.of(recording, view, jobs.elsewhere), one, wanted, golden_file)
        for recording, one, wanted, golden_file in zip(
            recordings, settled, expectations, known, strict=True
        )
    ]
    told = jobs.run(Replaying(source), items, classifier, "replaying", hidden=as_json)
    many = Many(
        "replayed", as_json, lambda all: f"{all['frames']} frames, {all['changes']} changes"
    )
    for item, one in zip(items, told, strict=True):
        if isinstance(one, Told) and one.file is not None and item.expected.golden is not None:
            write_atomically(item.expected.golden, one.file)
        many.add(item.name, one)
    many.finish()


def _replay_one(
    recording: Recording,
    model: Path,
    expected: Expectation,
    opening: Opening,
    config: Path | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    golden = expected.golden
    if expected.update:
        check_outputs([golden], [model, opening.labels, config, *recording.files])
    classifier = opening.open(model, config)
    settled = decision_settings(config, options, recording.header, classifier)
    notify(f"decision: {settled}")
    found, lines = verify(recording, classifier, settled.settings, expected, hidden=as_json)
    if expected.update:
        notify(f"wrote {len(found.changes)} changes to {golden}")
        return
    told = tell(recording, classifier, settled, found, lines)
    tell_one(told, as_json)
    if told.differs:
        raise ReplayDiffersError(f"{told.differs} from {golden or 'what was decided at the time'}")
