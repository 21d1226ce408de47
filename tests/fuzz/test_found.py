"""Seeds, and inputs that fuzzing once found: readers answer them well, without atheris too."""

import pytest

from tests.fuzz.targets import FOUND, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_good_inputs(name: str) -> None:
    target = TARGETS[name]
    target.check(target.seeds()[0])
    for data in target.seeds():
        target.run(data)
        assert len(data) <= target.longest


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_is_mended(name: str) -> None:
    for path in TARGETS[name].kept():
        TARGETS[name].run(path.read_bytes())


def test_every_input_that_is_kept_has_a_target_and_is_small() -> None:
    for path in FOUND.rglob("*"):
        if path.is_file():
            assert path.parent.name in TARGETS
            assert path.stat().st_size <= 4096
