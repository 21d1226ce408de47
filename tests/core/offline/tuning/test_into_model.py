"""A recommendation goes into a model file; all else in it stays."""

import stat
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError, OutputError, SignatureError
from edgekit.inference.classifier import Classifier
from edgekit.model.container import read_model
from edgekit.model.decision import DecisionOverrides, LabelOverrides, Recommendation
from edgekit.model.manifest import SCHEMA_VERSION
from edgekit.model.signers import AllowedSigners
from edgekit.offline.tuning.into_model import Target
from tests.signing import NEEDS_SSH_KEYGEN, KeyPair
from tests.tiny import COLOURS, own_model, tiny_model

FOUND = Recommendation(
    decision=DecisionOverrides(smoothing=3, labels={"green": LabelOverrides(enter=0.9)}),
    objective="balanced",
    recordings=1,
    events=20,
    span=60.0,
)


def put(path: Path, into: Path, key: Path | None = None, drop: bool = False) -> Target:
    target = Target.check(path, into, key, drop)
    target.write(FOUND, COLOURS)
    return target


def test_flatbuffer_and_labels_are_unchanged(tmp_path: Path) -> None:
    path = own_model(tmp_path / "model.tflite", schema=2)
    path.chmod(0o604)
    before = read_model(path)
    target = put(path, path)
    after = read_model(path)
    assert (after.flatbuffer, after.label_file) == (before.flatbuffer, before.label_file)
    assert after.manifest is not None
    assert (after.manifest.schema, after.manifest.decision) == (SCHEMA_VERSION, FOUND)
    assert Classifier(path).recommended == FOUND.decision
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert target.sibling is None


def test_a_new_file_leaves_the_old_one_alone(tmp_path: Path) -> None:
    path, new = own_model(tmp_path / "model.tflite"), tmp_path / "new.tflite"
    before = path.read_bytes()
    put(path, new)
    assert path.read_bytes() == before
    assert Classifier(new).recommended == FOUND.decision


def test_a_link_stays_one(tmp_path: Path) -> None:
    path, link = own_model(tmp_path / "model.tflite"), tmp_path / "link.tflite"
    link.symlink_to(path)
    put(path, link)
    assert link.is_symlink()
    assert Classifier(path).recommended == FOUND.decision


def test_labels_are_called_as_the_file_calls_them(tmp_path: Path) -> None:
    path = own_model(tmp_path / "model.tflite", labels=("rouge", "vert", "bleu"))
    put(path, path)
    manifest = read_model(path).manifest
    assert manifest is not None
    assert manifest.decision is not None
    assert list(manifest.decision.decision.labels) == ["vert"]


def test_a_compiled_file_beside_it_is_known(tmp_path: Path) -> None:
    path = own_model(tmp_path / "model.tflite")
    beside = tmp_path / "model_edgetpu.tflite"
    beside.write_bytes(b"")
    assert put(path, path).sibling == beside


def test_another_models_file_is_not_overwritten(tmp_path: Path) -> None:
    path, other = own_model(tmp_path / "a.tflite"), own_model(tmp_path / "b.tflite")
    with pytest.raises(OutputError, match=r"b.tflite is there already; name .*a.tflite itself"):
        Target.check(path, other, None, False)


def test_a_model_of_others_cannot_carry_one(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "model.tflite")
    with pytest.raises(ModelFileError, match="was not made by edgekit, and carries no"):
        Target.check(path, path, None, False)


def test_what_somebody_added_to_the_zip_is_not_lost(tmp_path: Path) -> None:
    path = own_model(tmp_path / "model.tflite")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README", "keep")
    with pytest.raises(ModelFileError, match="has 'README', which would be lost"):
        Target.check(path, path, None, False)


def test_a_model_that_was_replaced_meanwhile_stays(tmp_path: Path) -> None:
    path = own_model(tmp_path / "model.tflite")
    target = Target.check(path, path, None, False)
    own_model(path, schema=2)
    newer = path.read_bytes()
    with pytest.raises(ModelFileError, match="was replaced meanwhile"):
        target.write(FOUND, COLOURS)
    assert path.read_bytes() == newer


@NEEDS_SSH_KEYGEN
def test_a_signed_model_is_signed_again_or_left_unsigned(tmp_path: Path) -> None:
    path, key = own_model(tmp_path / "model.tflite"), KeyPair.make(tmp_path)
    allowed = AllowedSigners.read(key.allowed(tmp_path / "allowed"))
    put(path, path, key.private)
    assert allowed.check(read_model(path)).principal
    with pytest.raises(SignatureError, match=r"is signed, .* --sign KEY, or .* --drop-signature"):
        Target.check(path, path, None, False)
    assert read_model(path).signature is not None
    put(path, path, drop=True)
    assert read_model(path).signature is None


@NEEDS_SSH_KEYGEN
def test_a_key_that_does_not_sign_is_refused_first(tmp_path: Path) -> None:
    path, key = own_model(tmp_path / "model.tflite"), tmp_path / "key"
    key.write_text("no key")
    with pytest.raises(SignatureError, match="does not sign"):
        Target.check(path, path, key, False)
