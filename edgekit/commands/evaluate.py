"""`edgekit evaluate`: how right a model is, on pictures and on recordings."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgekit.commands.many import Jobs, Many, jobs_options, open_here, settle_all, tell_one
from edgekit.commands.notify import notify
from edgekit.commands.options import (
    Opening,
    class_offset_option,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.errors import DatasetError
from edgekit.files import check_outputs, write_atomically
from edgekit.inference.classifier import Classifier
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.evaluating import Evaluated, Evaluating, Labelled, evaluate_labelled
from edgekit.offline.folder_evaluation import class_order, evaluate
from edgekit.offline.folder_figures import FolderEvaluation
from edgekit.offline.folder_table import table
from edgekit.offline.labelled_pictures import LabelledPictures
from edgekit.offline.recording import Recording
from edgekit.offline.recordings import Place, beside, several
from edgekit.offline.told import Told
from edgekit.offline.truth import read_truth
from edgekit.text import percent

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument(
    "paths",
    metavar="DIR|RECORDING…",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a recording shows: CSV with start,end,label (seconds), or JSON. Of several "
    "recordings, a folder with NAME.csv or NAME.json for each.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page: figures, confusion, calibration or timeline, and pictures of mistakes. Of "
    "several recordings, a folder for NAME.html of each.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Most mistakes that are shown; the surest go first, and of a recording the longest.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="A second model, B, that answers the same pictures.",
)
@jobs_options
@runtime_options
@class_offset_option
@config_option
@settings_of(Recorded)
@json_option
def command(
    model: Path,
    paths: tuple[Path, ...],
    truth: Path | None,
    report: Path | None,
    pictures: int,
    compare: Path | None,
    jobs: Jobs,
    opening: Opening,
    class_offset: int,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure how right MODEL is on labelled pictures, or on a labelled recording.

    Without --truth, DIR holds a folder per class, named as the classes are, or a table labels.tsv
    with a line "file<TAB>class_index" (or a class's name) for each picture. Pictures are prepared
    and classified exactly as on the device, one at a time. With --compare, a second model with the
    same classes answers them, too. They are taken as they are, upright, like those that `edgekit
    collect` keeps; where the device looks at a region of its frames, give it as --view-region.

    With --truth, RECORDING is a clip, a video or an image folder, and goes through the daemon's
    own pipeline, decision included. The truth is CSV with the columns start,end,label, where
    times are seconds or minutes:seconds, or start_frame,end_frame,label; or a JSON list of
    objects with those keys, or of one label for each frame. A label is a class of the model, or
    `unknown`; what lies in no interval is not judged. Several recordings, or the clips of a folder,
    are evaluated at once, each by itself; one that cannot be is told, and the exit code is 1 then.

    \b
    Examples:
      edgekit evaluate resnet18-int8.tflite photos/
      edgekit evaluate mobilenet.tflite photos/ --labels names.txt --class-offset 1
      edgekit evaluate now.tflite photos/ --compare new.tflite --report photos.html
      edgekit evaluate resnet18-int8.tflite door.clip --truth door.csv --report door.html
      edgekit evaluate resnet18-int8.tflite clips/ --truth truths/ --jobs 4
    """
    options, path = given(Recorded, values), paths[0]
    if truth is None and len(paths) > 1:
        raise click.UsageError("several recordings need --truth, a folder with the truth of each")
    if truth is None and jobs != Jobs(None, None):
        raise click.UsageError(
            "--jobs and --dask are for recordings; pictures are answered one at a time, because "
            "that is timed"
        )
    if truth is None and not path.is_dir() and path.exists():
        raise click.UsageError(f"{path} is no folder of pictures; --truth says what it shows")
    if truth is None and (config or options.keys() - {"view.region"}):
        raise click.UsageError(
            "--config, --decision-*, and of --view-* all but --view-region, need a recording and "
            "--truth"
        )
    if truth is not None and compare is not None:
        raise click.UsageError(
            "--compare is for labelled pictures; two models on a recording: edgekit compare"
        )
    if truth is None:
        _evaluate_folder(
            model, path, compare, opening, class_offset, report, pictures, options, as_json
        )
        return
    view = view_settings(config, options)
    recordings = several(paths, view, notify)
    if recordings is not None:
        _evaluate_several(
            model, recordings, truth, report, pictures, jobs, opening, config, options, as_json
        )
        return
    jobs.check_single()
    check_outputs([report], [model, truth, opening.labels, config])
    classifier = opening.open(model, config)
    recording = Recording(path, view)
    check_outputs([report], recording.files)
    settled = decision_settings(config, options, recording.header, classifier)
    notify(f"decision: {settled}")
    intervals = read_truth(truth, classifier.labels)
    labelled = Labelled(settled, intervals, truth, pictures, report is not None)
    for note in labelled.ignored:
        notify(note)
    told = evaluate_labelled(recording, classifier, labelled, hidden=as_json)
    if report is not None and told.file is not None:
        write_atomically(report, told.file)
    tell_one(told, as_json)
    if not as_json:
        _print_report(report)


def _evaluate_folder(
    model: Path,
    path: Path,
    compare: Path | None,
    opening: Opening,
    class_offset: int,
    report: Path | None,
    pictures: int,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    check_outputs([report], [model, compare, opening.labels])
    view = view_settings(None, options)
    classifier = opening.open(model)
    other = opening.open(compare) if compare else None
    if other is not None:
        class_order(classifier, other)  # which is asked before anything is read
    labelled = LabelledPictures.in_folder(
        path, classifier.labels, class_offset, notify, view.looks_at
    )
    check_outputs([report], labelled.files)
    measured = _measured(classifier, other, labelled, pictures, hidden=as_json)
    if report is not None:
        measured.save_report(report)
    if as_json:
        click.echo(msgspec.json.encode(measured.summary()).decode())
        return
    click.echo(table(measured))
    _print_report(report)


def _evaluate_several(
    model: Path,
    recordings: list[Recording],
    truth: Path,
    report: Path | None,
    pictures: int,
    jobs: Jobs,
    opening: Opening,
    config: Path | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    view = view_settings(config, options)
    truths = beside(truth, recordings, lambda stem: _truth_of(truth, stem))
    pages: list[Path | None] = [None] * len(recordings)
    if report is not None:
        pages = [*beside(report, recordings, lambda stem: report / f"{stem}.html")]
    files = [file for recording in recordings for file in recording.files]
    check_outputs(pages, [model, opening.labels, config, *truths, *files])
    source = opening.source(model, config)
    classifier = open_here(source)
    known = [read_truth(file, classifier.labels) for file in truths]
    settled = settle_all(recordings, classifier, config, options)
    items = [
        Evaluated(
            Place.of(recording, view, jobs.elsewhere),
            Labelled(one, intervals, file, pictures, report is not None),
        )
        for recording, one, intervals, file in zip(recordings, settled, known, truths, strict=True)
    ]
    told = jobs.run(Evaluating(source), items, classifier, "evaluating", hidden=as_json)
    many = Many("evaluated", as_json, _total)
    for item, page, one in zip(items, pages, told, strict=True):
        if isinstance(one, Told) and page is not None and one.file is not None:
            write_atomically(page, one.file)
        many.add(item.name, one)
    many.finish()


def _truth_of(folder: Path, stem: str) -> Path:
    """The truth of a recording of that name.

    Raises:
        DatasetError: there is none, or there are two.
    """
    found = [file for ending in ("csv", "json") if (file := folder / f"{stem}.{ending}").exists()]
    if len(found) != 1:
        there = "both are there" if found else "neither is there"
        raise DatasetError(
            f"{folder} has to hold the truth of {stem} as {stem}.csv or {stem}.json, and {there}"
        )
    return found[0]


def _total(all: Mapping[str, int]) -> str:
    right = all["decided_right"] / all["judged"]
    return (
        f"{percent(right)} of {all['judged']} judged frames decided right, {all['found']} of "
        f"{all['intervals']} intervals found, {all['right_answers']} of {all['answers']} answers "
        f"right, {all['mistakes']} mistakes"
    )


def _print_report(report: Path | None) -> None:
    if report is not None:
        click.echo(f"report      {report}")


def _measured(
    model: Classifier,
    compare: Classifier | None,
    pictures: LabelledPictures,
    max_pictures: int,
    hidden: bool,
) -> FolderEvaluation:
    notes: list[str] = []
    bar: ProgressBar[int] = click.progressbar(
        length=pictures.length,
        label="evaluating",
        file=sys.stderr,
        hidden=hidden,
        update_min_steps=max(1, (pictures.length or 0) // 500),
    )
    with bar:
        measured = evaluate(
            model,
            pictures,
            compare=compare,
            max_pictures=max_pictures,
            notify=notes.append,
            progress=lambda _, done, __: bar.update(done - bar.pos),
        )
    for note in notes:
        notify(note)
    return measured
