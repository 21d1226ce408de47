"""The models of a device survive a power cut at any moment."""

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from edgekit_device.installed import ROLLED_BACK, count_rollbacks
from edgekit_device.service.store import TRIES, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.device.service.power import count_steps, cut, unsynced

OLD, NEW, NEWER = b"old model" * 100, b"new model" * 100, b"newer model" * 100
HASH = {content: sha256(content).hexdigest() for content in (OLD, NEW, NEWER)}


def _fresh(folder: Path) -> Store:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    store = Store(folder)
    store.use(store.add(OLD))
    return store


def _begin(store: Store) -> None:
    store.begin(store.add(NEW))


def _use(store: Store) -> None:
    store.use(store.add(OLD))


def _upgrade(store: Store) -> None:
    _begin(store)
    store.confirm()


def _fail(store: Store) -> None:
    _begin(store)
    store.roll_back()


def _whole(store: Store) -> str:
    """What runs: whole, under its own name."""
    content = (store.folder / "model.tflite").read_bytes()
    assert store.current == sha256(content).hexdigest()
    return store.current


def _files(store: Store) -> set[str]:
    return {path.name for path in store.folder.rglob("*") if not path.is_dir()}


def test_an_upgrade_keeps_the_model_before(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    _upgrade(store)
    assert (store.current, store.previous, store.pending) == (HASH[NEW], HASH[OLD], None)
    store.begin(store.add(NEWER))
    store.confirm()
    assert (store.current, store.previous) == (HASH[NEWER], HASH[NEW])
    assert len(list((store.folder / "models").iterdir())) == 2


def test_a_roll_back_leaves_its_count_alone(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    before = _files(store)
    assert count_rollbacks(store.folder / ROLLED_BACK) == 0
    for rolled_back in (1, 2):
        _fail(store)
        assert _whole(store) == HASH[OLD]
        assert _files(store) == before | {ROLLED_BACK}
        assert count_rollbacks(store.folder / ROLLED_BACK) == rolled_back
    _upgrade(store)
    assert count_rollbacks(store.folder / ROLLED_BACK) == 2
    store.clear()
    assert not _files(store)


def test_a_roll_back_that_cannot_be_counted_is_one_all_the_same(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    (store.folder / ROLLED_BACK).mkdir()
    _fail(store)
    assert (_whole(store), store.pending) == (HASH[OLD], None)
    assert count_rollbacks(store.folder / ROLLED_BACK) is None


def test_a_damaged_count_begins_afresh(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    (store.folder / ROLLED_BACK).write_bytes(b"\x00\x00")
    _fail(store)
    assert count_rollbacks(store.folder / ROLLED_BACK) == 1


def _name(store: Store) -> None:
    store.name(store.add(NEW), "new")


def _rename(store: Store) -> None:
    _name(store)
    store.name(store.add(NEWER), "new")
    store.forget("new")


def test_what_has_a_name_is_kept_whatever_runs(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    _name(store)
    for content in (NEWER, b"a", b"b"):
        store.begin(store.add(content))
        store.confirm()
    assert store.is_whole(HASH[NEW])
    assert not store.is_whole(HASH[OLD])
    store.forget("new")
    assert not store.path(HASH[NEW]).exists()


def test_a_change_of_names_leaves_an_upgrade_its_way_back(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    _begin(store)
    store.name(store.add(NEWER), "newer")
    store.forget("newer")
    assert store.before == HASH[OLD]
    store.roll_back()
    assert _whole(store) == HASH[OLD]


def test_the_power_goes_while_a_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = _fresh(folder)
    steps = count_steps(folder, lambda: _rename(store))
    assert steps > 10
    for step in range(steps):
        store = _fresh(folder)
        assert cut(folder, lambda store=store: _rename(store), step)
        assert _whole(store) == HASH[OLD]
        # Whatever has a name is whole, and the work can be done again.
        assert all(store.is_whole(sha) for sha in store.names.values())
        _rename(store)
        assert _files(store) == {f"{HASH[OLD]}.tflite", "model.tflite"}


def test_all_goes_with_the_service_but_what_is_not_ours(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    _upgrade(store)
    _name(store)
    store.clear()
    assert list(store.folder.iterdir()) == []
    _name(store)
    (store.folder / "models" / "notes.txt").write_text("mine")
    store.clear()
    assert _files(store) == {"notes.txt"}


@pytest.mark.parametrize("work", [_upgrade, _fail])
def test_the_power_goes_at_any_step(tmp_path: Path, work: Callable[[Store], None]) -> None:
    folder = tmp_path / "state"
    store = _fresh(folder)
    steps = count_steps(folder, lambda: work(store))
    assert steps > 15
    for step in range(steps):
        store = _fresh(folder)
        assert cut(folder, lambda store=store: work(store), step)
        assert _whole(store) in (HASH[OLD], HASH[NEW])

        # A model that crashes the service for ever is gone after a few starts, if it had not
        # proved itself before.
        proved = store.previous == HASH[OLD] and store.pending is None
        for _ in range(TRIES + 1):
            store.settle()
            _whole(store)
        assert store.pending is None
        assert store.current == (HASH[NEW] if proved else HASH[OLD])


def test_an_upgrade_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = _fresh(folder)
    steps = count_steps(folder, lambda: _upgrade(store))
    expected = _files(Store(folder))
    for step in range(steps):
        store = _fresh(folder)
        cut(folder, lambda store=store: _upgrade(store), step)
        if store.current == HASH[OLD] or store.pending:
            _upgrade(store)
        store.settle()
        store.confirm()
        assert (_whole(store), store.previous) == (HASH[NEW], HASH[OLD])
        assert _files(store) == expected


def test_the_power_goes_while_the_power_cut_is_settled(tmp_path: Path) -> None:
    folder, start = tmp_path / "state", tmp_path / "start"
    _begin(_fresh(start))

    def settle_all(store: Store) -> None:
        for _ in range(TRIES + 1):
            store.settle()

    def again() -> Store:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder, symlinks=True)
        return Store(folder)

    store = again()
    steps = count_steps(folder, lambda: settle_all(store))
    for step in range(steps):
        store = again()
        assert cut(folder, lambda store=store: settle_all(store), step)
        assert _whole(store) in (HASH[OLD], HASH[NEW])
        settle_all(store)
        assert _whole(store) == HASH[OLD]


def test_the_first_model_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "state"

    def work() -> None:
        folder.mkdir(exist_ok=True)
        store = Store(folder)
        store.use(store.add(OLD))

    steps = count_steps(folder, work)
    for step in range(steps):
        shutil.rmtree(folder)
        cut(folder, work, step)
        if Store(folder).current is not None:
            assert _whole(Store(folder)) == HASH[OLD]
        work()
        assert _whole(Store(folder)) == HASH[OLD]


def test_nothing_is_left_to_the_cache_of_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "var/state")
    for work in (_use, _upgrade, _fail, _name, _rename):
        count_steps(tmp_path, lambda work=work: work(store))
        assert not unsynced(), work


WORKS = st.sampled_from(["upgrade", "fail", "settle", "use", "name", "forget"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(WORKS, st.sampled_from([OLD, NEW, NEWER]), st.integers(0, 45)), max_size=6)
)
def test_any_sequence_with_power_cuts_leaves_a_whole_model(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[tuple[str, bytes, int]]
) -> None:
    folder = tmp_path_factory.mktemp("sequence") / "state"
    store = _fresh(folder)

    def do(work: str, content: bytes) -> None:
        if work == "settle":
            store.settle()
            return
        if work == "forget":
            store.forget("name")
            return
        sha = store.add(content)
        if work == "name":
            store.name(sha, "name")
            return
        if work == "use":
            store.use(sha)
            return
        store.begin(sha)
        store.confirm() if work == "upgrade" else store.roll_back()

    for work, content, step in sequence:
        cut(folder, lambda work=work, content=content: do(work, content), step)
        _whole(store)
        assert all(store.is_whole(sha) for sha in store.names.values())


def test_a_damaged_model_gives_way_to_the_one_before(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    _upgrade(store)
    store.path(HASH[NEW]).write_bytes(NEW[:-1])
    assert "damaged" in (store.settle() or "")
    assert _whole(store) == HASH[OLD]
    assert store.settle() is None


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    (store.folder / "pending").write_text("{")
    assert store.pending is None
    assert store.settle() is None
    assert not (store.folder / "pending").exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe", b'{"new": "\xff", "old": ""}', b"[" * 4000, b"{}", b"",
        b'{"new": "../../etc/passwd", "old": "../x"}',
        b'{"new": "%s\\n", "old": "%s"}' % (HASH[NEW].encode(), HASH[OLD].encode()),
        b" " * 10_000,
    ],
)  # fmt: skip
def test_a_damaged_note_of_an_upgrade_is_settled(tmp_path: Path, damage: bytes) -> None:
    store = _fresh(tmp_path / "state")
    _upgrade(store)
    note = store.folder / "pending"
    note.write_bytes(damage)
    assert store.pending is None
    assert store.settle() is None
    assert not note.exists()
    assert store.current == HASH[NEW]


def test_a_note_that_is_no_file_does_not_keep_the_start(tmp_path: Path) -> None:
    store = _fresh(tmp_path / "state")
    os.mkfifo(store.folder / "pending")
    assert store.settle() is None
    assert not (store.folder / "pending").exists()
