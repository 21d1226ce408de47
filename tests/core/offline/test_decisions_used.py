"""Which decision settings held for what."""

from edgekit.model.decision import DecisionSettings
from edgekit.model.settled import Settled
from edgekit.offline.decisions_used import DecisionsUsed

DEFAULTS = Settled(DecisionSettings(), "the defaults")
FROM_CLIP = Settled(DecisionSettings(), "the clip")


def test_what_held_for_all_is_told_once_and_without_names() -> None:
    used = DecisionsUsed()
    for name in ("A on a.clip", "B on a.clip"):
        used.add(name, DEFAULTS)
    assert list(used.lines()) == [str(DEFAULTS)]
    assert used.different == [DEFAULTS]


def test_what_differed_is_told_with_what_it_held_for() -> None:
    used = DecisionsUsed()
    for number in range(5):
        used.add(f"A on {number}.clip", DEFAULTS)
        used.add(f"B on {number}.clip", FROM_CLIP)
    assert list(used.lines()) == [
        f"{DEFAULTS} for A on 0.clip, A on 1.clip, A on 2.clip, …",
        f"{FROM_CLIP} for B on 0.clip, B on 1.clip, B on 2.clip, …",
    ]
    assert [len(one["held_for"]) for one in used.summary()] == [5, 5]
