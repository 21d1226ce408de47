"""A report in a few lines, for who reads no page."""

from edgekit.text import one_line, percent
from edgekit_convert.report.figures import decibels, size
from edgekit_convert.report.results import Report
from edgekit_convert.verify.fidelity import Kind


def in_words(report: Report) -> str:
    """The verdict, the key figures, and what the user is to know, a line each."""
    manifest, stages = report.manifest, report.fidelity.stages
    geometry = manifest.geometry
    lines = [
        f"{manifest.arch}, weights {manifest.weights}: {manifest.classes:,} classes, "
        f"{geometry.width} x {geometry.height}, {size(report.memory.file_bytes)} of int8",
        f"{_verdict(report)}: {report.gate.reason}",
    ]
    int8 = next((one.figures for one in report.stages if one.kind is Kind.INT8), None)
    if int8 is not None:
        lines.append(
            f"agrees with {stages[0].stage} on {percent(int8.agreement, 2)} of {int8.images:,} "
            f"pictures, SNR {decibels(int8.snr_db, ' dB')}"
        )
        if int8.top1 is not None and stages[0].top1 is not None:
            before, after = percent(stages[0].top1, 2), percent(int8.top1, 2)
            lines.append(f"top-1 {before} in {stages[0].stage}, {after} in int8")
    if manifest.confidence is not None:
        lines.append(f"confidence: {manifest.confidence}")
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(one_line(line) for line in lines)


def _verdict(report: Report) -> str:
    if report.gate.passed:
        return "passed the gate"
    return "accepted although the gate refused" if report.written else "refused by the gate"
