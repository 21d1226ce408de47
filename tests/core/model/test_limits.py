"""The limits of a model file, as the documentation states them."""

import re
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.model import limits

ROOT = Path(__file__).parents[3]


def test_the_documentation_states_every_limit_in_order() -> None:
    text = (ROOT / "docs/model-file.md").read_text(encoding="utf-8")
    table = text.partition("| limit | at most |")[2].partition("\n\n")[0]
    stated = re.findall(r"\| ([\d,]+|1e\+30) \|$", table, re.MULTILINE)
    values = [value for name, value in vars(limits).items() if name.isupper()]
    assert stated == [f"{value:,}" for value in values]


def test_as_much_as_is_allowed_passes() -> None:
    limits.check(1024, 1024, "spoons")
    with pytest.raises(ModelFileError, match="it has 1,025 spoons; at most 1,024 are read"):
        limits.check(1025, 1024, "spoons")
