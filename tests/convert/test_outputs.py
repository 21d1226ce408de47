"""The files of a conversion: beside each other, and never in the place of what is read."""

from pathlib import Path

import pytest
from edgekit_convert import outputs
from edgekit_convert.outputs import Paths, check_paths, write_models

from edgekit.errors import OutputError, SignatureError
from edgekit.model.container import read_model
from edgekit.model.signers import AllowedSigners, sign
from tests.signing import NEEDS_SSH_KEYGEN, KeyPair
from tests.tiny import tiny_model

NAMES = ["m.tflite", "m.report.html", "m.report.json", "m_edgetpu.tflite"]


def test_they_are_named_by_the_model() -> None:
    paths = Paths.beside(Path("out/m.tflite"))
    found = [paths.model, paths.html, paths.json, paths.edgetpu]
    assert found == [Path("out") / name for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_none_may_be_what_is_read(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.write_bytes(b"weeks of training")
    with pytest.raises(OutputError, match=f"{mine} is read here, and would be lost"):
        check_paths(tmp_path / "m.tflite", [None, tmp_path, mine], edgetpu=True)
    # Those of an earlier conversion are replaced.
    check_paths(tmp_path / "m.tflite", [None, tmp_path], edgetpu=True)


@pytest.mark.parametrize("name", NAMES)
def test_none_may_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name} is a folder; name a file to write"):
        check_paths(tmp_path / "m.tflite", [], edgetpu=True)


def test_what_is_not_compiled_does_not_matter(tmp_path: Path) -> None:
    mine = tmp_path / "m_edgetpu.tflite"
    mine.touch()
    check_paths(tmp_path / "m.tflite", [mine], edgetpu=False)


@NEEDS_SSH_KEYGEN
def test_every_model_file_is_signed_where_there_is_a_key(tmp_path: Path) -> None:
    key = KeyPair.make(tmp_path)
    content = tiny_model(tmp_path / "m").read_bytes()
    models = {tmp_path / "m_edgetpu.tflite": content, tmp_path / "m.tflite": content}
    write_models(models, key.private)
    allowed = AllowedSigners.read(key.allowed(tmp_path / "allowed"))
    for path in models:
        assert str(allowed.check(read_model(path)).key) == key.fingerprint
    write_models(models, None)
    assert all(path.read_bytes() == content for path in models)


@NEEDS_SSH_KEYGEN
def test_what_a_key_no_longer_signs_is_written_all_the_same_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = KeyPair.make(tmp_path).private
    first, second = tmp_path / "m_edgetpu.tflite", tmp_path / "m.tflite"
    content = tiny_model(tmp_path / "m").read_bytes()

    def sign_once(content: bytes, key: Path) -> bytes:
        if first.exists():
            raise SignatureError("the token was pulled out")
        return sign(content, key)

    monkeypatch.setattr(outputs, "sign", sign_once)
    with pytest.raises(SignatureError) as raised:
        write_models({first: content, second: content}, key)
    assert str(raised.value) == (
        f"the token was pulled out; written without a signature: {second}; sign with `edgekit sign "
        f"MODEL {key}`"
    )
    assert read_model(first).signature is not None
    assert second.read_bytes() == content
