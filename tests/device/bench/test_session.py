from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device.bench import conditions, measure, words
from edgekit_device.bench.conditions import Board, Conditions
from edgekit_device.bench.measure import Job, Rate, Timing
from edgekit_device.bench.operators import KindTime
from edgekit_device.bench.page import render
from edgekit_device.bench.result import (
    Energy,
    Heat,
    Latency,
    Model,
    Operators,
    Result,
    best,
    with_marks,
)
from edgekit_device.bench.session import ROUNDS, Plan, Session, threads_to_try

from edgekit.errors import RuntimeUnavailableError
from edgekit.model.container import read_model
from tests.device.bench.machine import COOL, HOT, Machine, run_of
from tests.tiny import own_model


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Session]:
    def made(**changes: Any) -> Session:
        combinations = [("litert", 1), ("litert", 2), ("tflite", 1)]
        model = read_model(own_model(tmp_path / "tiny.tflite"))
        usual = {"model": model, "combinations": combinations, "seconds": 3.0}
        return Session(Plan(**usual | changes), lambda _: None)

    return made


def _result(one: Session) -> Result:
    one.measure()
    return one.result()


def test_rounds_go_by_turns_and_each_begins_with_another(
    machine: Machine, make: Callable[..., Session]
) -> None:
    make().measure()
    rounds = [(job.runtime, job.threads) for job in machine.jobs if job.task == "inference"]
    a, b, c = ("litert", 1), ("litert", 2), ("tflite", 1)
    assert rounds == [a, b, c, b, c, a, c, a, b]
    assert {job.seconds for job in machine.jobs[:9]} == {3.0 / ROUNDS}


def test_the_fastest_is_looked_at_closer(machine: Machine, make: Callable[..., Session]) -> None:
    machine.times = lambda job: [2.0 if job.threads == 2 else 5.0] * 200
    found = _result(make())
    assert found.best is not None
    assert found.latency[found.best].threads == 2
    closer = {job.task: (job.runtime, job.threads) for job in machine.jobs[9:]}
    assert closer == {
        "preprocessing": ("litert", 2), "pipeline": ("litert", 2), "operators": ("litert", 1),
    }  # fmt: skip
    assert not found.partial
    assert found.pipeline and found.preprocessing and found.operators
    assert [*found.not_measured] == ["arena", "energy"]
    assert found.warnings == []


def test_a_runtime_that_crashes_is_told_and_the_others_go_on(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.fails = lambda job: "ended by SIGSEGV" if job.runtime == "tflite" else None
    found = _result(make())
    assert [one.problem for one in found.latency] == [None, None, "ended by SIGSEGV"]
    assert found.latency[2].marks == ("failed",)
    assert found.warnings == ["tflite, 1 thread: ended by SIGSEGV"]
    # It is not tried again.
    assert sum(job.runtime == "tflite" for job in machine.jobs) == 1
    assert "tflite: failed" in words.in_a_line(found)


def test_a_model_that_nothing_runs_is_an_error(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.fails = lambda _: "refuses it"
    with pytest.raises(
        RuntimeUnavailableError, match=r"^nothing here runs .*\(litert, tflite\): refuses it$"
    ):
        make().measure()


def test_what_cannot_be_looked_at_closer_is_told(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.fails = lambda job: "logits; pass --softmax" if job.task == "pipeline" else None
    found = _result(make())
    assert found.pipeline is None
    assert found.not_measured["pipeline"] == "logits; pass --softmax"
    assert "not measured: logits" in "\n".join(words.lines(found))


def test_an_accelerators_operators_are_left_out(
    machine: Machine,
    make: Callable[..., Session],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = tmp_path / "libother.so"
    library.touch()
    monkeypatch.chdir(tmp_path)
    found = _result(make(delegate="libother.so"))
    assert found.operators is None and "accelerator" in found.not_measured["operators"]
    # The processes work elsewhere, and what is shown is no path.
    assert {job.delegate for job in machine.jobs} == {str(library)}
    assert found.delegate == "other"


def test_what_was_measured_until_an_interruption_is_told(
    machine: Machine, make: Callable[..., Session]
) -> None:
    def interrupt(_: Job) -> None:
        if len(machine.jobs) == 2:
            raise KeyboardInterrupt

    machine.fails = interrupt
    one = make()
    assert not one.begun
    with pytest.raises(KeyboardInterrupt):
        one.measure()
    assert one.begun
    found = one.result()
    assert found.partial and len(found.latency) == 1
    assert found.not_measured["pipeline"] == "interrupted"
    assert "interrupted" in found.warnings[0]
    assert words.in_a_line(found).endswith("PARTIAL")


def test_a_busy_machine_marks_every_figure(machine: Machine, make: Callable[..., Session]) -> None:
    machine.others = 0.3
    found = _result(make())
    assert all("busy" in one.marks for one in found.latency)
    assert found.marks == dict.fromkeys(("preprocessing", "pipeline", "operators"), ("busy",))
    assert "30% of the processor before" in found.warnings[0]
    assert "up to 30% of the processor meanwhile" in found.warnings[1]
    assert words.in_a_line(found).count("[busy]") == 3


def test_throttling_marks_the_figures_that_it_touched(
    machine: Machine, make: Callable[..., Session]
) -> None:
    def heat(job: Job) -> None:
        if job.threads == 2:
            machine.condition = HOT

    machine.fails = heat
    found = _result(make(combinations=[("litert", 2)]))
    assert found.latency[0].marks == ("throttled",)
    assert (found.heat.hottest, found.heat.throttled) == (84, ["throttled"])
    assert "slowed down meanwhile (throttled)" in found.warnings[0]
    assert "throttled (throttled)" in words.in_a_line(found)


def test_throttling_that_ended_before_the_next_look_is_told(
    machine: Machine, make: Callable[..., Session]
) -> None:
    def heat(job: Job) -> None:
        if job.task == "pipeline":
            machine.condition = msgspec.structs.replace(COOL, since_boot=["throttled"])

    machine.fails = heat
    found = _result(make())
    assert found.marks == {"pipeline": ("throttled",)}
    assert found.heat.throttled == ["throttled"]


def test_an_x86_processor_that_slowed_itself_down_is_told(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.condition = msgspec.structs.replace(COOL, slowdowns=7)

    def heat(job: Job) -> None:
        if job.task == "pipeline":
            machine.condition = msgspec.structs.replace(COOL, slowdowns=8)

    machine.fails = heat
    assert _result(make()).heat.throttled == ["too hot"]


def test_a_slow_governor_is_told(
    machine: Machine, make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = msgspec.structs.replace(conditions.look_at_board(), governor="powersave")
    monkeypatch.setattr(conditions, "look_at_board", lambda: board)
    assert "governor is powersave" in _result(make()).warnings[0]


def test_few_runs_mark_a_figure_whose_99th_is_the_slowest(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.times = lambda _: [1.0] * 33
    assert _result(make()).latency[0].marks == ("few runs",)
    machine.times = lambda _: [1.0] * 34
    assert _result(make()).latency[0].marks == ()


def test_one_that_failed_once_is_best_only_where_all_did() -> None:
    job = Job(task="inference", model="")
    fast = with_marks(measure.summary("a", 1, [run_of(job, 1.0)], ["x"]), None, None, False)
    slow = with_marks(measure.summary("b", 1, [run_of(job, 2.0)], []), None, None, False)
    none = with_marks(measure.summary("c", 1, [], ["x"]), None, None, False)
    assert best([fast, slow, none]) == 1
    assert best([fast, none]) == 0
    assert best([none]) is None


def test_energy_is_power_for_the_time_of_an_inference() -> None:
    found = measure.summary("a", 1, [run_of(Job(task="inference", model=""), 20.0)], [])
    one = with_marks(found, None, 4.0, False)
    assert (one.watts, one.millijoules) == (4, 80)


@pytest.mark.parametrize(
    ("cores", "counts"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (6, [1, 2, 3, 4, 6]), (16, [1, 2, 3, 4, 8, 16])],
)
def test_threads_to_try(cores: int, counts: list[int]) -> None:
    assert threads_to_try(cores) == counts


def test_what_was_guessed_of_a_model_is_told(
    machine: Machine, make: Callable[..., Session]
) -> None:
    machine.notes = ["tiny.tflite has no manifest"]
    assert _result(make()).warnings == machine.notes


def test_silence_about_throttling_is_no_all_clear(
    machine: Machine, make: Callable[..., Session]
) -> None:
    assert words.heat(_result(make())) == "50 to 50 °C, 50 at most; not throttled"
    machine.condition = msgspec.structs.replace(COOL, told=False, celsius=None)
    unknown = "temperature not told by this board; throttling not told by this board"
    assert words.heat(_result(make())) == unknown


def test_a_kind_of_operator_that_noise_hides_has_no_share(
    machine: Machine, make: Callable[..., Session]
) -> None:
    assert [share for _, share in words.kinds(_result(make()))] == ["75.0%", "?", "?"]


def test_the_page_shows_all_of_it(machine: Machine, make: Callable[..., Session]) -> None:
    machine.fails = lambda job: "ended by <SIGSEGV>" if job.runtime == "tflite" else None
    machine.others = 0.3
    found = _result(make())
    found = msgspec.structs.replace(found, line="to be pasted")
    page = render(found)
    for text in ("ended by &lt;SIGSEGV&gt;", "busy", "to be pasted", found.model.sha256, "CONV_2D"):
        assert text in page
    assert "litert, 1 thread [busy]" in page
    assert "<script" not in page


def test_the_json_says_what_the_structures_say(
    machine: Machine, make: Callable[..., Session]
) -> None:
    found = _result(make())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Result) == found


def test_every_key_of_the_json_is_on_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "bench.md").read_text(encoding="utf-8")
    for kind in (
        Result,
        Board,
        Model,
        Latency,
        Timing,
        Rate,
        Operators,
        KindTime,
        Heat,
        Conditions,
        Energy,
    ):
        for key in kind.__struct_fields__:
            assert f"`{key}`" in page, f"{kind.__name__}: {key}"
