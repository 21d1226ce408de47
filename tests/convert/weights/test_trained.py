"""PyTorch is asked for where it is needed, and only there."""

import sys

import pytest
from edgekit_convert.weights.trained import require_torch

from edgekit.errors import ConversionError


def test_what_needs_pytorch_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConversionError, match=r"^a checkpoint needs PyTorch") as refused:
        require_torch("a checkpoint")
    assert 'pip install "edgekit-convert[torch]"' in str(refused.value)
