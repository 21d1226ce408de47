"""Courses of labels as rows."""

from edgekit.offline.timeline import COLOURS, Run, differences, extend, labels_of, rows, span_of


def test_frames_with_the_same_label_are_a_run() -> None:
    runs: list[Run] = []
    for time, label in enumerate(["a", "a", "b", None]):
        extend(runs, label, float(time))
    assert runs == [Run("a", 0.0, 2.0, 2), Run("b", 2.0, 3.0, 1), Run(None, 3.0, 3.0, 1)]


def test_the_last_frame_lasts_as_long_as_one_does_on_average() -> None:
    assert span_of(5, first=2.0, last=4.0) == 2.5
    assert span_of(1, first=2.0, last=2.0) == 0.0


def test_labels_are_ordered_by_their_frames() -> None:
    one = [Run("b", 0, 1, 5), Run(None, 1, 2, 9), Run("a", 2, 3, 3)]
    other = [Run("unknown", 0, 1, 9), Run("a", 1, 3, 3), Run("c", 3, 4, 5)]
    assert labels_of(one, other) == ["a", "b", "c"]


def test_differences_are_where_both_are_known_and_differ() -> None:
    truths = [Run("a", 0, 4), Run(None, 4, 6), Run("b", 6, 10)]
    answers = [Run("a", 0, 3), Run("b", 3, 7), Run("a", 7, 10)]
    assert differences(truths, answers) == [(3, 4, "b, not a"), (7, 10, "a, not b")]
    assert differences(truths, answers, "A {upper}, B {lower}")[0] == (3, 4, "A a, B b")


def test_courses_that_change_at_once_do_not_differ() -> None:
    course = [Run("a", 0, 3), Run("b", 3, 6), Run("a", 6, 7)]
    assert differences(course, course) == []


def test_a_short_recording_fills_one_row() -> None:
    (row,) = rows([Run("a", 1, 3)], [Run("a", 1, 2), Run("b", 2, 3)], ["b", "a"])
    assert [(one.left, one.width, one.text, one.colour) for one in row.lower] == [
        (0, 50, "a", 1),
        (50, 50, "b", 0),
    ]
    assert [(one.left, one.width, one.title) for one in row.different] == [
        (50, 50, "b, not a, 0:02.0 to 0:03.0")
    ]
    assert row.ticks == [(0, 1), (20, 1.4), (40, 1.8), (60, 2.2), (80, 2.6), (100, 3)]
    assert row.fine


def test_a_longer_one_is_cut_into_rows_of_equal_length() -> None:
    answers = [Run("a", 0, 290), Run("b", 290, 400)]
    timeline = rows([Run(None, 0, 400)], answers, ["a", "b"])
    assert [row.start for row in timeline] == [0, 60, 120, 180, 240, 300, 360]
    assert not timeline[0].fine
    assert [(one.text, one.left) for one in timeline[4].lower] == [("a", 0), ("b", 100 * 50 / 60)]
    assert [(one.text, one.width) for one in timeline[6].lower] == [("b", 100 * 40 / 60)]
    assert not any(row.upper or row.different for row in timeline)


def test_a_label_without_a_colour_and_a_narrow_one() -> None:
    labels = [str(number) for number in range(COLOURS + 1)]
    answers = [Run("unknown", 0, 2), Run(labels[-1], 2, 4.9), Run("1", 4.9, 5)]
    (row,) = rows([Run("1", 0, 5)], answers, labels)
    assert [(one.text, one.colour) for one in row.lower] == [("unknown", None), ("10", 0), ("", 1)]


def test_a_long_timeline_stays_small_and_hides_no_difference() -> None:
    flicker = [Run("ab"[n % 2], n / 10, (n + 1) / 10) for n in range(100_000)]
    flicker[50_001] = Run("c", 5000.1, 5000.2)
    timeline = rows([Run("a", 0, 10_000)], flicker, ["a", "b"])
    assert len(timeline) <= 8
    assert sum(len(row.lower) + len(row.different) for row in timeline) < 25_000
    slow = [Run("a", 0, 5000), Run("b", 5000, 5000.1), Run("a", 5000.1, 10_000)]
    timeline = rows([Run("a", 0, 10_000)], slow, ["a", "b"])
    assert sum(len(row.different) for row in timeline) == 1
