"""Which views are none, and what is said of them."""

from math import nan
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit import settings
from edgekit.errors import ConfigurationError
from edgekit.offline.decision_settings import Recorded
from edgekit.vision.view import Region, ViewSettings

TRIANGLE = (0.1, 0.1, 0.9, 0.1, 0.5, 0.9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"region": (0.1, 0.2, 0.3)}, "region has 3 numbers, not four"),
        ({"region": (0.1, 0.2, 0.3, 0.4, 0.5)}, "region has 5 numbers"),
        ({"region": (0, 0, 0, 1)}, "width and height are more than 0"),
        ({"region": (0, 0, 1, 0)}, "width and height are more than 0"),
        ({"region": (0.5, 0, 0.6, 1)}, "goes beyond the frame"),
        ({"region": (0, 0.5, 1, 0.6)}, "goes beyond the frame"),
        ({"region": (-0.1, 0, 0.5, 1)}, "each is a fraction, from 0 to 1"),
        ({"region": (nan, 0, 0.5, 1)}, "region has nan"),
        ({"region": (0, 0, 320, 240)}, "region has 0, 0, 320, 240; each is a fraction"),
        ({"masks": ((0, 0, 0.5, 0.5), (0, 0, 0.5, 0.6, 0.7))}, "mask 2 has 5 numbers"),
        ({"masks": ((0.1, 0.1, 0.2, 0.2, 0.3, 0.3),)}, "mask 1 hides nothing"),
        ({"masks": ((0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9),)}, "mask 1 crosses itself"),
        ({"masks": ((*TRIANGLE[:-1], 1.5),)}, "mask 1 has .*1.5; each is a fraction"),
        ({"masks": ((0.1, 0.1, nan, 0.1, 0.5, 0.9),)}, "mask 1 has .*nan"),
        ({"masks": (TRIANGLE,) * 33}, "masks are 33, and 32 are the maximum"),
        ({"masks": (TRIANGLE * 22,)}, "mask 1 has 66 corners, and 64 are the maximum"),
        ({"masks": ((0, 0, 1, 1),)}, "masks hide all that the model looks at"),
        ({"masks": ((0, 0, 0.5, 1), (0.5, 0, 0.5, 1))}, "masks hide all"),
        ({"region": (0.1, 0.1, 0.2, 0.2), "masks": ((0, 0, 0.5, 0.5),)}, "masks hide all"),
    ],
)
def test_what_is_no_part_of_a_frame_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViewSettings(**given)


def test_rounding_at_the_edge_is_none_of_the_users_faults() -> None:
    assert ViewSettings(region=(0.7, 0.9, 0.3, 0.1)).looks_at == Region(0.7, 0.9, 0.3, 0.1)


def test_what_leaves_a_corner_of_the_region_is_taken() -> None:
    ViewSettings(region=(0.5, 0, 0.5, 1), masks=((0, 0, 1, 0.9), TRIANGLE))
    # A polygon's edges may touch.
    ViewSettings(masks=((0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[view]\nregion = [0, 0, true, 1]", r"line 2: view.region\[2\]: expected number, got"),
        ("[view]\nregion = [0.5, 0, 0.6, 1]", "view: region is .* goes beyond the frame"),
        ("[view]\nrotate = 45", "line 2: view.rotate"),
        ("[view]\nregion = 0.5", "line 2: view.region: expected array"),
        ("[view]\nmasks = [0, 0, 1, 0.5]", "line 2: view.masks"),
        ("[view]\nrotation = 90", "no such key; did you mean view.rotate"),
    ],
)
def test_a_configuration_says_where_it_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        settings.load(Recorded, file, {})


def test_it_is_written_as_it_is_read(tmp_path: Path) -> None:
    view = ViewSettings(rotate=90, region=(0, 0.25, 1, 0.5), masks=((0, 0, 1, 0.3), TRIANGLE))
    file = tmp_path / "edgekit.toml"
    file.write_text(settings.render(Recorded(view=view), "# ours"))
    assert settings.load(Recorded, file, {}).view == view
    assert msgspec.json.decode(msgspec.json.encode(view), type=ViewSettings) == view
