"""What is read and is not there is found, wherever in a query it stands."""

import pytest

from tests.deploy.queries import misuses, names

KNOWN = {"frames_total": {"job", "instance", "label"}, "model_info": {"instance", "model"}}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('sum by (instance) (rate(frames_total{label="a"}[5m])) > 0', []),
        ("rate(frame_total[5m])", ["no metric frame_total"]),
        ("absent(frame_total) or vector(0)", ["no metric frame_total"]),
        ('frames_total{labels="a"}', ["no label labels of frames_total"]),
        ("sum by (devise) (frames_total)", ["no label devise"]),
        ("frames_total * on (devise) group_left (modell) model_info",
         ["no label devise", "no label modell"]),
        ("max_over_time(rate(frame_total[5m])[1h:1m])", ["no metric frame_total"]),
        ("topk(3, frame_total)", ["no metric frame_total"]),
        ("-(frame_total)", ["no metric frame_total"]),
    ],
)  # fmt: skip
def test_misuses(query: str, found: list[str]) -> None:
    assert sorted(misuses(query, KNOWN)) == found


def test_names() -> None:
    assert names("a / on () group_left () (sum(b) > 0) or c offset 5m") == {"a", "b", "c"}


def test_what_is_no_query() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        names("sum by (")
