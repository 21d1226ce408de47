"""What was found, in words: lines for a terminal, and one to be pasted."""

from collections.abc import Iterable, Iterator

from edgekit.text import one_line, percent
from edgekit_device.bench.operators import KindTime
from edgekit_device.bench.result import Latency, Result

UNKNOWN = "not told by this board"


def in_a_line(result: Result) -> str:
    """All that makes a figure mean something, to be pasted into an issue."""
    board, model = result.board, result.model
    parts = [
        f"edgekit {result.edgekit}",
        board.name,
        f"{board.system} {board.machine} Linux {board.kernel}, Python {board.python}",
        f"{model.name} sha256 {model.sha256[:12]} {model.width}x{model.height}",
        *([f"delegate {result.delegate}"] if result.delegate != "none" else []),
    ]
    for runtime in dict.fromkeys(one.runtime for one in result.latency):
        of = [one for one in result.latency if one.runtime == runtime and one.p50_ms is not None]
        if of:
            least = min(of, key=lambda one: one.p50_ms or 0)
            parts.append(
                f"{runtime} {least.version} {threads(least)} p50 {least.p50_ms} ms "
                f"p99 {least.p99_ms} ms{marked(least.marks)}"
            )
        else:
            parts.append(f"{runtime}: failed")
    if result.pipeline is not None:
        rate = f"{result.pipeline.per_second:.1f} frames/s end to end"
        parts.append(rate + marked(result.marks.get("pipeline", ())))
    parts += [heat(result), *(["PARTIAL"] if result.partial else [])]
    return one_line(" | ".join(parts), 2000)


def heat(result: Result) -> str:
    """Temperature and throttling in a clause."""
    found = result.heat
    warm = UNKNOWN
    if found.before.celsius is not None and found.after.celsius is not None:
        warm = f"{found.before.celsius:.0f} to {found.after.celsius:.0f} °C"
        if found.hottest is not None:
            warm += f", {found.hottest:.0f} at most"
    if found.throttled:
        slowed = f"throttled ({', '.join(found.throttled)})"
    else:
        slowed = "not throttled" if found.before.told else f"throttling {UNKNOWN}"
    return f"{'temperature ' if warm == UNKNOWN else ''}{warm}; {slowed}"


def threads(one: Latency) -> str:
    """`1 thread` or `4 threads`."""
    return f"{one.threads} thread{'s' if one.threads != 1 else ''}"


def marked(marks: Iterable[str]) -> str:
    """What makes figures doubtful, in brackets; nothing where nothing does."""
    text = ", ".join(marks)
    return f" [{text}]" if text else ""


def kinds(result: Result) -> list[tuple[KindTime, str]]:
    """Kinds of operators, and the share of each; `?` where noise hides it."""
    found = result.operators.kinds if result.operators else []
    # What noise makes less than nothing takes no share from others.
    total = sum(max(0.0, one.ms) for one in found)
    return [
        (one, percent(one.ms / total) if total > 0 and one.ms > one.doubt_ms else "?")
        for one in found
    ]


def lines(result: Result) -> Iterator[str]:
    """What a terminal shows."""
    board, model = result.board, result.model
    yield f"{model.name}: {model.width} x {model.height}, sha256 {model.sha256[:12]}"
    yield f"{board.name}, {board.cores} cores, {board.system}, Python {board.python}"
    yield ""
    yield (
        f"{'runtime':<16}{'threads':>8}{'p50':>10}{'p90':>10}{'p99':>10}{'least':>10} ms"
        f"{'load':>9} ms{'resident':>10}{'peak':>7} MiB"
    )
    for index, one in enumerate(result.latency):
        yield _row(one, " <- best" if index == result.best else "")
    yield ""
    if result.preprocessing is not None:
        width, height = result.frame
        yield (
            f"preprocessing   {result.preprocessing.p50_ms:.3f} ms of {width}x{height}"
            + marked(result.marks.get("preprocessing", ()))
        )
    if result.pipeline is not None:
        rate = result.pipeline
        yield (
            f"end to end      {rate.per_second:.1f} frames/s of {rate.width}x{rate.height} "
            f"({rate.source}){marked(result.marks.get('pipeline', ()))}"
        )
    if result.operators is not None:
        yield (
            f"operators       {result.operators.runtime}, one thread, of the processor's time"
            f"{marked(result.marks.get('operators', ()))}"
        )
        for kind, share in kinds(result):
            yield (
                f"  {kind.count:>4} {kind.kind:<22}{kind.ms:>9.3f} ms{share:>8}"
                f"   in doubt by {kind.doubt_ms:.3f}"
            )
    yield f"heat            {heat(result)}"
    if result.energy is not None:
        idle = result.energy.idle_watts
        idle_text = f", {idle:.2f} W idle" if idle is not None else ""
        yield f"energy          of {result.energy.meter}{idle_text}"
    for name, reason in result.not_measured.items():
        yield f"{name:<16}not measured: {reason}"
    yield ""
    yield result.line


def _row(one: Latency, ending: str) -> str:
    start = f"{one.runtime + ' ' + one.version:<16}{one.threads:>8}"
    figures = (one.p50_ms, one.p90_ms, one.p99_ms, one.minimum_ms)
    if one.p50_ms is None:
        return f"{start}  {one.problem}"
    times = "".join(f"{figure:>10.2f}" for figure in figures if figure is not None)
    load, resident, peak = one.load_ms or 0, one.resident_mib or 0, one.peak_mib or 0
    energy = f"  {one.watts:.2f} W {one.millijoules:.1f} mJ" if one.watts is not None else ""
    return (
        f"{start}{times}   {load:>9.0f}   {resident:>10.1f}{peak:>7.1f}    {energy}"
        f"{marked(one.marks)}{ending}"
    )
