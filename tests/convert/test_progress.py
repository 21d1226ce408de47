"""Steps are told to a function, and what there is to know is kept."""

from edgekit_convert.progress import Reporter


def test_a_step_is_told_from_beginning_to_end() -> None:
    calls: list[tuple[str, int, int | None]] = []
    reporter = Reporter(lambda *call: calls.append(call))
    with reporter.step("reading") as advance:
        advance(3)
    with reporter.step("measuring", 4) as advance:
        advance(3)
        advance(1)
    assert calls == [
        ("reading", 0, None), ("reading", 3, None), ("reading", 1, 1),
        ("measuring", 0, 4), ("measuring", 3, 4), ("measuring", 4, 4),
    ]  # fmt: skip
    assert list(reporter.seconds) == ["reading", "measuring"]


def test_one_that_ends_early_is_done() -> None:
    calls: list[tuple[str, int, int | None]] = []
    with Reporter(lambda *call: calls.append(call)).step("measuring", 4) as advance:
        advance(2)
    assert calls[-1] == ("measuring", 4, 4)


def test_nobody_has_to_listen() -> None:
    reporter = Reporter()
    with reporter.step("measuring", 2) as advance:
        advance(2)
    reporter.note("look")
    assert reporter.notes == ["look"]
