"""What `edgekit run --check` says of the view."""

from pathlib import Path

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.preflight import check_settings

from edgekit.errors import SettingsError
from edgekit.vision.view import ViewSettings
from tests.recordings import write_pictures
from tests.tiny import tiny_model


def settings(folder: Path, **view: tuple[object, ...]) -> Settings:
    pictures = write_pictures(folder / "pictures", ["red"])
    model = tiny_model(folder / "m.tflite")
    seen = ViewSettings(**view)  # type: ignore[arg-type]
    return Settings(model=model, source=str(pictures), view=seen, stdout=False)


def test_it_says_how_much_of_a_frame_the_model_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_settings(settings(tmp_path))
    told = capsys.readouterr().out
    assert "view     the model looks at the middle 21 x 21 of 32 x 24 pixels\n" in told


def test_masks_that_leave_this_model_nothing_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Something is left of the frame, where this model does not look.
    masked = settings(tmp_path, masks=((0.125, 0.0, 0.75, 1.0),))
    with pytest.raises(SettingsError, match="something wrong with: view"):
        check_settings(masked)
    assert "view     wrong: the model looks at " in capsys.readouterr().out
