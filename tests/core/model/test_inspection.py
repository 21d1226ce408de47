"""What is told about a model file."""

from pathlib import Path

from edgekit.model.inspection import inspect
from edgekit.model.manifest import OLDEST_SCHEMA
from tests.tiny import own_model


def test_a_file_from_before_says_what_it_lacks(tmp_path: Path) -> None:
    facts = inspect(own_model(tmp_path / "m.tflite", schema=OLDEST_SCHEMA))
    lines = dict(line.split(maxsplit=1) for line in repr(facts).splitlines())
    assert lines["confidence"] == "unknown: the file is from before it was calibrated"
    assert lines["profile"] == "none, so that drift is not noticed"
    assert "recommends" not in lines
    assert (facts["confidence"], facts["profile"], facts["decision"]) == (None, None, None)
