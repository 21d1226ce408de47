"""Names of all scripts on a contact sheet."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.offline import lettering
from edgekit.offline.lettering import Image, is_written, plain, write


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("Türöffner", "Turoffner"), ("Straße", "Strasse"), ("猫 1", "\\u732b 1"), ("\x1b", "\x1b")],
)
def test_without_a_font_letters_lose_their_accents_and_others_are_numbers(
    text: str, drawn: str
) -> None:
    assert plain(text) == drawn


def _written(text: str) -> Image:
    image = np.full((40, 200, 3), 255, np.uint8)
    write(image, text, (10, 30), 0.5, (200, 0, 0))
    return image


@pytest.fixture
def fonts() -> None:
    """Those of this system, which have Latin and Cyrillic."""
    pytest.importorskip("PIL")
    if shutil.which("fc-list") is None or not is_written("жü"):
        pytest.skip("needs fontconfig and a font (apt install fontconfig fonts-dejavu)")


@pytest.mark.usefixtures("fonts")
def test_with_one_they_are_written_as_they_are() -> None:
    for text, others in (("ж", ("ш", plain("ж"))), ("grün", ("grun", "gran"))):
        image = _written(text)
        assert image.min() < 100
        # In the colour it was given, on a ground that stays as it was.
        assert (image[..., 0] >= 199).all()
        assert (image[:5] == 255).all() and (image[:, :9] == 255).all()
        for other in others:
            assert not np.array_equal(image, _written(other))


@pytest.mark.usefixtures("fonts")
def test_a_letter_that_no_font_has_is_not_written_as_a_box() -> None:
    assert not is_written("\U0010fffd")
    assert np.array_equal(_written("\U0010fffd"), _written(plain("\U0010fffd")))


@pytest.mark.usefixtures("fonts")
def test_a_font_that_does_not_open_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = lettering._font_for("ж")
    assert good is not None
    (tmp_path / "a.ttf").write_bytes(b"no font")
    damaged = str(tmp_path / "a.ttf")
    for found, expected in (([damaged, good], good), ([damaged], None)):
        lettering._font_with.cache_clear()
        monkeypatch.setattr(lettering, "_ask", lambda program, pattern, found=found: found)
        assert lettering._font_for("ж") == expected
    lettering._font_with.cache_clear()


@pytest.mark.parametrize("lacking", ["Pillow", "fontconfig"])
def test_what_is_not_installed_is_done_without(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    lettering._font_with.cache_clear()
    if lacking == "Pillow":
        monkeypatch.setattr(lettering, "find_spec", lambda name: None)
    else:
        monkeypatch.setenv("PATH", "")
    assert not is_written("ж")
    assert is_written("z")
    assert np.array_equal(_written("ж"), _written(plain("ж")))
    lettering._font_with.cache_clear()
