"""`edgekit sign`, `edgekit verify`, and what `edgekit inspect` says of signatures."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekit import cli
from edgekit.model.container import read_model
from edgekit.model.signature import ENTRY
from tests.signing import NAME, NEEDS_SSH_KEYGEN, KeyPair, entries, keygen, packed, resigned
from tests.tiny import LABELS, tiny_model

pytestmark = NEEDS_SSH_KEYGEN


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "model.tflite")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.edgekit, [*map(str, words)])


def _line(result: Result) -> str:
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_a_model_is_signed_in_place(model: Path, key: KeyPair, tmp_path: Path) -> None:
    model.chmod(0o604)
    done = run("sign", model, key.private)
    assert (done.exit_code, done.stdout) == (0, f"{model} is signed by {key.fingerprint}\n")
    assert stat.S_IMODE(model.stat().st_mode) == 0o604
    assert set(entries(model)) == {"labels.txt", ENTRY}
    done = run("verify", model, "--allowed-signers", key.allowed(tmp_path / "allowed"))
    assert (done.exit_code, done.stdout) == (
        0, f"{model} is signed by {NAME}, {key.fingerprint}\n"
    )  # fmt: skip


def test_another_signature_takes_the_place_of_the_first(
    model: Path, key: KeyPair, tmp_path: Path
) -> None:
    other = KeyPair.make(tmp_path, "other")
    size = len(key.signed(model).read_bytes())
    done = run("sign", model, other.private)
    assert done.stdout.endswith(f"by {other.fingerprint}, in place of an earlier signature\n")
    assert len(model.read_bytes()) == size


@pytest.mark.parametrize("damage", [b"junk", b"x" * 20000], ids=["junk", "huge"])
def test_a_damaged_signature_is_replaced(model: Path, key: KeyPair, damage: bytes) -> None:
    model.write_bytes(packed({"labels.txt": LABELS, ENTRY: damage}))
    assert "cannot be trusted" in _line(run("inspect", model))
    assert run("sign", model, key.private).exit_code == 0
    assert set(entries(model)) == {"labels.txt", ENTRY}
    assert read_model(model).signature is not None


def test_a_link_to_a_model_stays_one(model: Path, key: KeyPair, tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(model.name)
    assert run("sign", link, key.private).exit_code == 0
    assert link.is_symlink()
    assert ENTRY in entries(model)


def test_what_cannot_be_signed_stays_as_it_was(key: KeyPair, tmp_path: Path) -> None:
    files = {
        "nothing.tflite": None,
        "text.tflite": b"no model",
        "comment.tflite": packed({"labels.txt": LABELS}, comment=b"x"),
        "order.tflite": packed({ENTRY: b"x", "labels.txt": LABELS}),
    }
    for name, content in files.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        done = run("sign", path, key.private)
        assert done.exit_code == 1
        assert name in _line(done)
        assert (path.read_bytes() if path.exists() else None) == content
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_fifo_or_a_folder_is_no_model_to_sign(key: KeyPair, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        assert run("sign", path, key.private).exit_code == 1


def test_a_key_that_does_not_sign_changes_nothing(model: Path, tmp_path: Path) -> None:
    before = model.read_bytes()
    (tmp_path / "key").write_text("no key\n")
    assert "does not sign with" in _line(run("sign", model, tmp_path / "key"))
    assert model.read_bytes() == before


def test_verify_says_yes_for_an_allowed_signer_alone(
    model: Path, key: KeyPair, tmp_path: Path
) -> None:
    other = KeyPair.make(tmp_path, "other")
    assert "is not signed" in _line(run("verify", model))
    key.signed(model)
    done = run("verify", model)
    assert done.exit_code == 1
    assert f"is signed by {key.fingerprint}, and was not changed since" in _line(done)
    done = run("verify", model, "--allowed-signers", other.allowed(tmp_path / "allowed"))
    assert done.exit_code == 1
    assert "does not vouch" in _line(done)
    assert run("verify", model, "--allowed-signers", tmp_path / "none").exit_code == 2
    model.write_bytes(resigned(model, **{"labels.txt": b"a\nb\nc\n"}))
    for words in ((), ("--allowed-signers", key.allowed(tmp_path / "allowed"))):
        done = run("verify", model, *words)
        assert done.exit_code == 1
        assert "changed after it was signed" in _line(done)


def _inspected(*words: str | Path) -> tuple[str, Any]:
    """The line about the signature, and what JSON says of it."""
    lines = run("inspect", *words).stdout.splitlines()
    found = json.loads(run("inspect", *words, "--json").stdout)
    return next(line for line in lines if line.startswith("signature")), found["signature"]


def test_inspect_says_who_signed(model: Path, key: KeyPair, tmp_path: Path) -> None:
    assert _inspected(model) == ("signature     none", None)
    key.signed(model)
    kind, fingerprint = key.fingerprint.split()
    facts = {"kind": kind, "fingerprint": fingerprint, "principal": None, "problem": None}
    line, found = _inspected(model)
    assert line == (
        f"signature     by {key.fingerprint}; whose key that is, --allowed-signers tells"
    )
    assert found == facts
    line, found = _inspected(model, "--allowed-signers", key.allowed(tmp_path / "allowed"))
    assert line == f"signature     by {key.fingerprint} of {NAME}"
    assert found == {**facts, "principal": NAME}


def test_inspect_says_what_is_wrong_with_a_signature_and_goes_on(
    model: Path, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.signed(model)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "refused: there is no ssh-keygen here" in _inspected(model)[0]
    monkeypatch.undo()
    model.write_bytes(resigned(model, **{"labels.txt": b"a\nb\nc\n"}))
    line, found = _inspected(model)
    assert f"by {key.fingerprint}, refused: " in line
    assert "changed after it was signed" in found["problem"]


def test_ssh_keygen_asks_for_a_passphrase_on_the_terminal(model: Path, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", str(key))
    command = [sys.executable, "-m", "edgekit", "sign", str(model), str(key)]
    terminal = [sys.executable, "-c", f"import pty; pty.spawn({command})"]
    with subprocess.Popen(terminal, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = b""
        while b"passphrase" not in said and (more := process.stdout.read(1)):
            said += more
        assert b"passphrase" in said
        process.stdin.write(b"secret\n")
        process.stdin.flush()
        said += process.stdout.read()
    assert f"{model} is signed by ED25519" in said.decode()
    assert read_model(model).signature is not None
