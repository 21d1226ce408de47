"""`python -m tests.fuzz`: fuzz readers, or run one of them on an input that was found."""

import base64
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from tests.fuzz.campaign import Campaign, table
from tests.fuzz.targets import TARGETS

_MEMORY = "/dev/shm"


@click.command()
@click.argument("names", nargs=-1, metavar="[TARGET]…", type=click.Choice([*TARGETS]))
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="For each target at the core, a sixth for others; with --runs, for all.",
)
@click.option("--runs", type=click.IntRange(1), help="Inputs for each target.")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes at once."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where inputs and figures are kept, and gone on with; nowhere if left out.",
)
@click.option("--input", "encoded", metavar="BASE64", help="Run one TARGET on an input.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run one TARGET on the input in a file.",
)
def main(
    names: tuple[str, ...],
    seconds: float,
    runs: int | None,
    jobs: int,
    folder: Path | None,
    encoded: str | None,
    file: Path | None,
) -> None:
    """Fuzz each TARGET, or all of them; the exit code is 1 where something was found."""
    if encoded is not None or file is not None:
        if len(names) != 1:
            raise click.UsageError("name one TARGET for an input")
        data = file.read_bytes() if file is not None else base64.b64decode(encoded or "")
        TARGETS[names[0]].run(data)
        click.echo("answered well")
        return
    targets = [TARGETS[name] for name in names or TARGETS]
    with ExitStack() as stack:
        # In memory where there is such a folder: readers of files get one for each input.
        memory = _MEMORY if Path(_MEMORY).is_dir() else None
        temporary = tempfile.TemporaryDirectory(prefix="edgekit-fuzz-", dir=memory)
        scratch = Path(stack.enter_context(temporary))
        campaign = Campaign(
            targets, folder or scratch, scratch, lambda line: click.echo(line, err=True)
        )
        if runs is None:
            campaign.for_seconds(seconds, jobs)
        else:
            campaign.for_runs(runs, jobs, seconds)
        click.echo(table(campaign.progress))
        found = [
            (name, Path(path).read_bytes())
            for name, progress in campaign.progress.items()
            for path in progress.findings
        ]
    for name, data in found:
        click.echo(
            f"\n{name} answers an input wrongly; to see how:\n"
            f"  {os.path.relpath(sys.executable)} -m tests.fuzz {name} "
            f"--input {base64.b64encode(data).decode()}"
        )
    for name, said in campaign.failures.items():
        click.echo(f"\n{name} could not be run:\n{said}")
    sys.exit(bool(found or campaign.failures))


if __name__ == "__main__":
    main()
