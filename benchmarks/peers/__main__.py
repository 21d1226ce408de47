"""The same checkpoint, every way a user could run it: `python -m benchmarks.peers [--help]`.

Each peer makes an int8 file of the same float network with the same calibration pictures, in an
environment of its own in build/peers, and answers the same other pictures. Agreement and
signal-to-noise ratio are edgekit's own (`edgekit_convert.answers`), against the float network in
onnxruntime. Latency is that of one picture, its input ready, measured for all peers in one run, by
turns: every peer is a process that waits for its turn. Files and figures are kept; a second run
measures latency again, and what is not there yet. `--table` prints what is there.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from edgekit_convert.answers import Answers, agreement, logit_ratio

from benchmarks.peers.environments import PEERS, ROOT, Peer, environment_python, make
from benchmarks.peers.networks import NETWORKS, MissingError, Network, prepare, reference
from benchmarks.processes import ProgramError, measure

_TIMEOUT = 1800.0  # seconds of a conversion
_THREADS = (1, 2)
_ROUNDS, _INFERENCES = 15, 20
# TFLite files of all makers run in this repository's LiteRT, and in the newest.
_INTERPRETERS = {"": "edgekit", "newest": "litert"}


def _module(python: Path, tool: str, *words: object) -> list[str]:
    return [str(python), "-m", f"benchmarks.peers.tools.{tool}", *map(str, words)]


def _reason(said: str) -> str:
    """The last line of what a program said, short enough for a table."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (lines[-1] if lines else "failed, and said nothing").replace("|", "/")[:160]


def _result(name: str) -> str:
    """The file of what was measured of a peer."""
    return f"result-{name}.json"


def _bytes(file: Path) -> int:
    """Size of a model, weights beside it included."""
    return sum(one.stat().st_size for one in {file, file.with_suffix(".bin")} if one.is_file())


def _convert(peer: Peer, variant: str, folder: Path) -> dict[str, Any]:
    """Make a peer's file, and compare its answers; what is known then."""
    target = folder / f"{peer.name}-{variant}{peer.suffix}"
    found: dict[str, Any] = {"variant": variant, "file": str(target)}
    scratch = folder / "run"
    scratch.mkdir(exist_ok=True)
    here = {"PYTHONPATH": str(Path.cwd())}
    absolute = folder.absolute()
    convert = _module(peer.python, peer.tool, "convert", absolute, target.absolute(), variant)
    answers = folder / "answers.npy"
    answer = _module(
        peer.python, peer.tool, "answer", absolute, target.absolute(), answers.absolute()
    )
    try:
        cost = measure(convert, scratch, _TIMEOUT, here)
        measure(answer, scratch, _TIMEOUT, here)
    except ProgramError as error:
        return found | {"failed": _reason(f"{error}")}
    given = Answers.of_logits(np.load(answers))
    answers.unlink()
    exact, truth = reference(folder), np.load(folder / "truth.npy")
    return found | {
        "cost": cost._asdict(),
        "bytes": _bytes(target),
        "agreement": 100 * agreement(given, exact),
        "snr": logit_ratio(exact.logits, given.logits),
        "top1": 100 * float((given.logits.argmax(axis=1) == truth).mean()),
    }


def _best(folder: Path, name: str) -> dict[str, Any] | None:
    """The variant that counts; None where nothing was measured."""
    file = folder / _result(name)
    if not file.is_file():
        return None
    tried: list[dict[str, Any]] = json.loads(file.read_text())
    return max(tried, key=lambda one: -1e9 if "failed" in one else one["snr"] or 1e9)


class _Runner:
    """A model that waits for its turn, in a process of its own."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self.failed = name, ""
        self.times: list[float] = []
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        if self._read() != "ready":
            self.failed = _reason(log.read_text(errors="replace"))

    def _read(self) -> str:
        """Its next line; libraries may say something before the first."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready" or line[0].isdigit():
                return line.strip()
        return ""

    def take_turn(self) -> None:
        """Some inferences, while all others wait."""
        if self.failed:
            return
        assert self._process.stdin is not None
        self._process.stdin.write(f"{_INFERENCES}\n")
        self._process.stdin.flush()
        said = self._read()
        if said:
            self.times.append(float(said))
        else:
            self.failed = _reason(self._log.read_text(errors="replace"))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _latency(folder: Path) -> dict[str, Any]:
    """Of all files that are there, by turns: ms of each round, by runner and threads."""
    runners: list[_Runner] = []
    for threads in _THREADS:
        for peer in PEERS.values():
            best = _best(folder, peer.name)
            if best is None or "failed" in best:
                continue
            tools = {peer.name: (peer.python, peer.tool)}
            if peer.suffix == ".tflite":
                tools = {
                    f"{peer.name} {label}".strip(): (environment_python(environment), "tflite")
                    for label, environment in _INTERPRETERS.items()
                    if environment_python(environment).is_file()
                }
            for name, (python, tool) in tools.items():
                command = _module(python, tool, "serve", folder, best["file"], threads)
                runners.append(_Runner(f"{name}/{threads}", command, folder / "serve.log"))
    for _ in range(_ROUNDS):
        for runner in runners:
            runner.take_turn()
    for runner in runners:
        runner.close()
    return {
        "load": os.getloadavg()[0],
        "times": {one.name: one.times for one in runners if not one.failed},
        "failed": {one.name: one.failed for one in runners if one.failed},
    }


def _table(network: Network, folder: Path) -> None:
    """What is known of a network."""
    file = folder / "latency.json"
    latency = json.loads(file.read_text()) if file.is_file() else {"times": {}, "failed": {}}
    truth = np.load(folder / "truth.npy")
    exact = 100 * float((reference(folder).logits.argmax(axis=1) == truth).mean())
    print(f"\n{network.title}: {len(np.load(folder / 'calibration.npy'))} pictures to calibrate, "
          f"{len(truth)} to evaluate; float top-1 {exact:.2f} %\n")  # fmt: skip
    print("| int8 from | agreement % | SNR dB | top-1 % | MB | ms, 1 thread | 2 threads "
          "| ms, newest LiteRT | 2 threads | conversion s | CPU s | MiB |")  # fmt: skip
    print("| --- " * 12 + "|")
    for peer in PEERS.values():
        best = _best(folder, peer.name)
        if best is None:
            continue
        title = peer.name if len(peer.variants) < 2 else f"{peer.name}, {best['variant']}"
        if "failed" in best:
            print(f"| {title} | {best['failed']} |" + " |" * 10)
            continue
        cost = best["cost"]
        snr = "exact" if best["snr"] is None else f"{best['snr']:.1f}"
        cells = [
            f"{best['agreement']:.2f}", snr, f"{best['top1']:.2f}", f"{best['bytes'] / 1e6:.1f}"
        ]  # fmt: skip
        for runner in (peer.name, f"{peer.name} newest"):
            for threads in _THREADS:
                times = latency["times"].get(f"{runner}/{threads}")
                failed = latency["failed"].get(f"{runner}/{threads}", "")
                cells.append(f"{min(times):.2f}" if times else failed)
        if peer.name != "float":
            cells += [f"{cost[name]:.0f}" for name in ("seconds", "cpu", "memory")]
        else:
            cells += ["", "", ""]
        print(f"| {title} | {' | '.join(cells)} |")
    _tell_ratios(latency)


def _tell_ratios(latency: dict[str, Any]) -> None:
    """Of each peer's time to edgekit's in the same round: the median over rounds."""
    times = latency["times"]
    for threads in _THREADS:
        own = times.get(f"edgekit/{threads}")
        if not own:
            continue
        ratios = {
            name.partition("/")[0]: statistics.median(
                theirs / ours for theirs, ours in zip(values, own, strict=True)
            )
            for name, values in times.items()
            if name.endswith(f"/{threads}") and name != f"edgekit/{threads}"
        }
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"\nTime over edgekit's, {threads} thread(s), median of rounds: {told}")


def main() -> None:
    """Measure what is not known yet, and print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME",
                        help=", ".join(PEERS))  # fmt: skip
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS),
                        metavar="NAME", help=", ".join(NETWORKS))  # fmt: skip
    parser.add_argument("--again", action="store_true", help="convert those named once more")
    parser.add_argument("--no-latency", action="store_true", help="only convert and compare")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        network, folder = NETWORKS[name], ROOT / "networks" / name
        if not arguments.table:
            try:
                prepare(network, folder)
            except MissingError as error:
                print(f"\n{network.title}: not measured, {error}")
                continue
            _measure(folder, [PEERS[one] for one in arguments.only], arguments.again)
            if not arguments.no_latency:
                (folder / "latency.json").write_text(json.dumps(_latency(folder)))
        if (folder / "reference.npy").is_file():
            _table(network, folder)
    print(f"\n{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; "
          f"latency is that of the fastest of {_INFERENCES * _ROUNDS} inferences")  # fmt: skip


def _measure(folder: Path, peers: list[Peer], again: bool) -> None:
    """Conversions that are not known yet."""
    for peer in peers:
        file = folder / _result(peer.name)
        if file.is_file() and not again:
            continue
        failed = make(peer.environment)
        if failed:
            tried = [{"variant": "default", "failed": f"not installed: {_reason(failed)}"}]
        else:
            tried = [_convert(peer, variant, folder) for variant in peer.variants]
        file.write_text(json.dumps(tried))
        print(f"{folder.name}, {peer.name}: {json.dumps(tried)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
