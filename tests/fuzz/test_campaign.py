"""How a campaign shares time out, counts, and goes on; libFuzzer's part is played by a text."""

from pathlib import Path
from typing import Any

from tests.fuzz.campaign import Campaign, table
from tests.fuzz.targets import TARGETS

SMALL, CORE = TARGETS["line"], TARGETS["clip"]
WELL = "#9 DONE   cov: 12 ft: 13\nstat::number_of_executed_units: 600\n"
FOUND = "=== Uncaught Python exception: ===\nValueError: x\nTest unit written to {place}\n"


class Played(Campaign):
    """Says what libFuzzer would, at once; remembers what was asked of it."""

    def __init__(self, folder: Path, said: str = WELL) -> None:
        self.said = said
        self.told: list[str] = []
        self.asked: list[tuple[str, float, int | None]] = []
        super().__init__([SMALL, CORE], folder, folder, self.told.append)

    def _call(self, target: Any, seconds: float, runs: int | None, number: int) -> str:
        self.asked.append((target.name, seconds, runs))
        return self.said


def test_those_at_the_core_come_first_and_get_all_their_time(tmp_path: Path) -> None:
    campaign = Played(tmp_path)
    campaign.for_seconds(60, jobs=1)
    assert campaign.asked == [("clip", 60, None), ("line", 10, None)]
    assert campaign.progress["clip"].coverage == 12
    assert [line.split()[:2] for line in table(campaign.progress).splitlines()[1:]] == [
        ["line", "600"],
        ["clip", "600"],
    ]


def test_each_gets_its_runs_and_a_later_campaign_goes_on(tmp_path: Path) -> None:
    first = Played(tmp_path)
    first.for_runs(1000, jobs=1, seconds=30)
    assert sorted((name, runs) for name, _, runs in first.asked) == [
        ("clip", 400), ("clip", 1000), ("line", 400), ("line", 1000),
    ]  # fmt: skip
    again = Played(tmp_path)
    assert again.progress["line"].runs == 1200
    again.for_runs(1000, jobs=1, seconds=30)
    assert again.asked == []


def test_what_was_found_is_told_and_a_target_that_fails_always_is_left(tmp_path: Path) -> None:
    campaign = Played(tmp_path, FOUND.format(place=tmp_path / "crash"))
    campaign.for_runs(1000, jobs=1, seconds=30)
    assert len(campaign.progress["clip"].findings) == 5
    assert len(campaign.asked) == 10
    assert any("ValueError: x" in line for line in campaign.told)


def test_one_that_cannot_run_is_no_success(tmp_path: Path) -> None:
    campaign = Played(tmp_path, "no atheris")
    campaign.for_runs(1000, jobs=1, seconds=30)
    assert campaign.failures == {"clip": "no atheris", "line": "no atheris"}
    assert len(campaign.asked) == 2


def test_a_target_has_its_seeds_and_its_words_in_a_folder(tmp_path: Path) -> None:
    Played(tmp_path)
    assert len(list((tmp_path / "clip" / "seeds").iterdir())) == len(CORE.seeds())
    assert r'"\x49\x48\x44\x52"' in (tmp_path / "clip" / "words").read_text().splitlines()
