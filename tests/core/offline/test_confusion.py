"""The table of pairs of labels."""

from edgekit.offline.confusion import Row, confusion


def test_rows_and_columns() -> None:
    counts = {("cat", "cat"): 3, ("cat", "unknown"): 1, ("ant", "cat"): 2, ("ant", "bee"): 2}
    table = confusion(counts)
    assert table.columns == ["ant", "cat", "bee", "unknown"]
    assert table.rows == [Row("ant", [0, 2, 2, 0], 0.0), Row("cat", [0, 3, 0, 1], 0.75)]
    assert table.labels == 2


def test_of_many_labels_those_with_the_most_frames_are_kept() -> None:
    counts = {(f"{n:02}", f"{n + 1:02}"): n for n in range(1, 61)}
    table = confusion(counts)
    assert [row.label for row in table.rows] == [f"{n:02}" for n in range(21, 61)]
    assert table.labels == 60
    # Of the labels that are no rows' own, 02 to 20 and 61, there are less than 40.
    others = [*(f"{n:02}" for n in range(2, 21)), "61"]
    assert table.columns == [*(row.label for row in table.rows), *others]


def test_equal_counts_are_cut_in_the_order_of_names() -> None:
    table = confusion({("x", f"{n:02}"): 1 for n in range(50)})
    assert table.columns == ["x", *(f"{n:02}" for n in range(40))]
