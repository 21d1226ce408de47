"""What a conversion prints at its end; how it is in whole conversions, test_convert.py says."""

import pytest
from edgekit_convert.summary import data_free

from edgekit.model.manifest import Fidelity


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (
            "calibration",
            "calibrated and measured on pictures made from the network itself; give --calibration "
            "to do better, and --evaluate to know",
        ),
        # Fidelity is of photographs then, which nobody has to ask for.
        (
            "evaluation",
            "calibrated on pictures made from the network itself; give --calibration to do better",
        ),
    ],
)
def test_data_free_says_what_no_photograph_has_decided(pictures: str, said: str) -> None:
    assert data_free(Fidelity(pictures=pictures, stages=[])) == said
