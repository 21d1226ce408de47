"""What was found, as a page: one file that runs no script and loads nothing."""

from edgekit.report.page import Figure
from edgekit.report.page import render as render_page
from edgekit_device.bench import words
from edgekit_device.bench.result import Result


def render(result: Result) -> str:
    """The page."""
    slowest = max((one.p99_ms or 0 for one in result.latency), default=0)
    return render_page(
        __package__,
        "bench.html.j2",
        {
            "result": result,
            "figures": [*_figures(result)],
            "slowest": slowest,
            "heat": words.heat(result),
            "kinds": words.kinds(result),
            "unknown": words.UNKNOWN,
        },
        {"ms": lambda value: f"{value:.2f}" if value < 100 else f"{value:.0f}"},
    )


def _figures(result: Result) -> list[Figure]:
    found = []
    if result.best is not None:
        one = result.latency[result.best]
        found += [
            Figure(
                "Median inference",
                f"{one.p50_ms:.3g} ms",
                f"{one.runtime}, {words.threads(one)}{words.marked(one.marks)}",
            ),
            Figure("Memory", f"{one.resident_mib:.0f} MiB", f"{one.peak_mib:.0f} at most"),
        ]
    if result.pipeline is not None:
        rate = result.pipeline
        found.insert(
            1,
            Figure(
                "End to end", f"{rate.per_second:.1f} /s", f"frames of {rate.width} x {rate.height}"
            ),
        )
    if result.heat.hottest is not None:
        note = "throttled" if result.heat.throttled else "at most"
        found.append(Figure("Temperature", f"{result.heat.hottest:.0f} °C", note))
    return found
