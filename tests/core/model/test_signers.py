"""Who signed a model, by the real ssh-keygen."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import child
from edgekit.errors import ConfigurationError, SettingsError, SignatureError
from edgekit.model.container import read_model
from edgekit.model.signature import ENTRY, signed_text, with_signature
from edgekit.model.signers import AllowedSigners, Signer, check_intact, check_key, sign, unchecked
from tests.signing import NAME, NEEDS_SSH_KEYGEN, KeyPair, keygen, packed, resigned
from tests.tiny import LABELS, tiny_flatbuffer, tiny_model

pytestmark = NEEDS_SSH_KEYGEN


@pytest.fixture
def model(key: KeyPair, tmp_path: Path) -> Path:
    return key.signed(tmp_path / "model.tflite")


def _check(model: Path, allowed: Path) -> Signer:
    return AllowedSigners.read(allowed).check(read_model(model))


def test_a_model_is_by_whom_the_file_says(model: Path, key: KeyPair, tmp_path: Path) -> None:
    signer = _check(model, key.allowed(tmp_path / "allowed"))
    assert str(signer) == f"{NAME}, {key.fingerprint}"
    assert str(unchecked(read_model(model))) == f"{key.fingerprint}, not checked"


def test_our_own_signature_is_one_like_ssh_keygen_s(key: KeyPair, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "own.tflite")
    path.write_bytes(sign(path.read_bytes(), key.private))
    assert _check(path, key.allowed(tmp_path / "allowed")).principal == NAME


@pytest.mark.parametrize(
    "options",
    [
        'namespaces="edgekit-model"',
        'namespaces="git,edgekit-*"',
        'valid-after="20200101",valid-before="20990101"',
    ],
)
def test_options_that_allow_it_are_obeyed(
    model: Path, key: KeyPair, tmp_path: Path, options: str
) -> None:
    assert _check(model, key.allowed(tmp_path / "allowed", options)).principal == NAME


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ('valid-before="20200101"', "line 1: key has expired.*the clock here says 20"),
        ('valid-after="20990101"', "line 1: key is not yet valid.*the clock here says 20"),
        ('namespaces="git"', 'line 1: .*not permitted .* namespace "edgekit-model"'),
        ("cert-authority", "does not vouch$"),
        ("nonsense", r"\(line 1: bad options: unknown key option\)$"),
    ],
)
def test_options_that_forbid_it_are_obeyed(
    model: Path, key: KeyPair, tmp_path: Path, options: str, reason: str
) -> None:
    with pytest.raises(SignatureError, match=reason) as caught:
        _check(model, key.allowed(tmp_path / "allowed", options))
    assert "\n" not in str(caught.value)
    assert key.fingerprint in str(caught.value)


def test_a_key_on_several_lines_counts_by_the_one_that_allows_it(
    model: Path, key: KeyPair, tmp_path: Path
) -> None:
    allowed = key.allowed(tmp_path / "allowed", 'valid-before="20200101"', "old@example.com")
    allowed.write_text(f"# keys\n{allowed.read_text()}{NAME} {key.public}\n")
    assert _check(model, allowed).principal == NAME


@pytest.mark.parametrize(
    ("name", "principal"),
    [
        ('"a b"', "a b"),
        ("-f@example.com", "-f@example.com"),
        ("!no@example.com,*@example.com", "*@example.com"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("a\x1b[31m@x", "a\x1b[31m@x"),
    ],
)
def test_principals_of_odd_characters(
    model: Path, key: KeyPair, tmp_path: Path, name: str, principal: str
) -> None:
    signer = _check(model, key.allowed(tmp_path / "allowed", name=name))
    assert signer.principal == principal
    assert str(signer).isprintable()


def test_a_certificate_counts_by_its_authority(key: KeyPair, tmp_path: Path) -> None:
    authority = KeyPair.make(tmp_path, "authority")
    keygen("-q", "-s", str(authority.private), "-I", "id", "-n", NAME, "-V", "-1h:+1h",
           f"{key.private}.pub")  # fmt: skip
    path = tiny_model(tmp_path / "m.tflite")
    raw = keygen("-q", "-Y", "sign", "-n", "edgekit-model", "-f", f"{key.private}-cert.pub",
                 input=signed_text(path.read_bytes()))  # fmt: skip
    path.write_bytes(with_signature(path.read_bytes(), raw))
    allowed = authority.allowed(tmp_path / "allowed", "cert-authority", "*@example.com")
    signer = _check(path, allowed)
    assert signer.principal == NAME
    kind, fingerprint = key.fingerprint.split()
    assert str(signer.key) == f"{kind}-CERT {fingerprint}"


def _flatbuffer(model: Path) -> bytes:
    """Another network, with everything else as it was."""
    content = model.read_bytes()
    there = content.index(tiny_flatbuffer()) + len(tiny_flatbuffer())
    return tiny_flatbuffer(logits=True) + content[there:]


CHANGES: dict[str, Callable[[Path], bytes]] = {
    "flatbuffer": _flatbuffer,
    "labels": lambda model: resigned(model, **{"labels.txt": b"green\nred\nblue\n"}),
    "an entry more": lambda model: resigned(model, **{"more.bin": b""}),
    "another file's signature": lambda model: packed(
        {"labels.txt": b"x\ny\nz\n", ENTRY: read_model(model).signature.raw}  # type: ignore[union-attr]
    ),
    "bytes before the zip": lambda model: packed(
        {"labels.txt": LABELS, ENTRY: read_model(model).signature.raw},  # type: ignore[union-attr]
        flatbuffer=tiny_flatbuffer() + bytes(16),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_was_changed_is_refused(
    model: Path, key: KeyPair, tmp_path: Path, change: str
) -> None:
    allowed = key.allowed(tmp_path / "allowed")
    check_intact(read_model(model))
    model.write_bytes(CHANGES[change](model))
    with pytest.raises(SignatureError, match="changed after it was signed") as caught:
        _check(model, allowed)
    assert "\n" not in str(caught.value)
    with pytest.raises(SignatureError, match="changed after it was signed"):
        check_intact(read_model(model))


@pytest.mark.parametrize("place", range(60, 300, 17))
def test_a_signature_with_a_letter_changed_is_refused(
    model: Path, key: KeyPair, tmp_path: Path, place: int
) -> None:
    allowed = key.allowed(tmp_path / "allowed")
    signature = read_model(model).signature
    assert signature is not None
    raw = bytearray(signature.raw)
    raw[place] = ord("A") if raw[place] != ord("A") else ord("B")
    with pytest.raises(SignatureError):
        _check(_written(model, packed({"labels.txt": LABELS, ENTRY: bytes(raw)})), allowed)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_signature_of_another_namespace_is_refused(
    model: Path, key: KeyPair, tmp_path: Path
) -> None:
    raw = key.sign(signed_text(model.read_bytes()), "git")
    _written(model, packed({"labels.txt": LABELS, ENTRY: raw}))
    with pytest.raises(SignatureError, match="namespace 'git'"):
        _check(model, key.allowed(tmp_path / "allowed"))


def test_a_key_that_nobody_vouches_for_is_refused(
    model: Path, key: KeyPair, tmp_path: Path
) -> None:
    other = KeyPair.make(tmp_path, "other")
    with pytest.raises(
        SignatureError, match=f"{re.escape(key.fingerprint)}, for which .*does not vouch"
    ):
        _check(model, other.allowed(tmp_path / "allowed"))


def test_a_model_without_a_signature_is_refused(key: KeyPair, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.tflite")
    with pytest.raises(SignatureError, match="is not signed; `edgekit sign"):
        _check(path, key.allowed(tmp_path / "allowed"))
    assert unchecked(read_model(path)) is None


def _fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (_fifo, "not a regular file"),
        (lambda path: path.symlink_to(path), "link|Symlink"),
        (lambda path: path.write_text(""), "name nobody"),
        (lambda path: path.write_text("# a@example.com\n\n"), "name nobody"),
        (lambda path: path.write_bytes(bytes(2 << 20)), "too large"),
    ],
    ids=["missing", "folder", "FIFO", "circle", "empty", "comments", "huge"],
)
def test_allowed_signers_that_cannot_be_read_are_refused(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "allowed"
    make(path)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        AllowedSigners.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"junk\n", bytes(100), b"\xff\xfe\x00\n", b"a@x ssh-ed25519 A"]
)
def test_damaged_allowed_signers_vouch_for_nobody(
    model: Path, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(SignatureError, match="does not vouch"):
        _check(model, _written(tmp_path / "allowed", content))


def test_without_ssh_keygen_nothing_counts_as_signed(
    model: Path, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="apt install openssh-client"):
        _check(model, key.allowed(tmp_path / "allowed"))


def test_an_account_without_a_name_is_told_what_is_missing(
    model: Path, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 61234)
    with pytest.raises(SettingsError, match=r"number 61234 is; .*libnss-systemd"):
        _check(model, key.allowed(tmp_path / "allowed"))


def test_an_ssh_keygen_that_hangs_is_no_yes(
    model: Path, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 10.0)

    monkeypatch.setattr(child, "run", hang)
    with pytest.raises(SettingsError, match="did not end within 10 s"):
        _check(model, key.allowed(tmp_path / "allowed"))


def test_of_what_ssh_keygen_says_nothing_is_believed(
    model: Path, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds a principal and says `Good` of it, but its exit code is another."""
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase "$*" in *find-principals*) echo root; exit 0;; esac\n'
        'echo "Good \\"edgekit-model\\" signature for root"; exit 255\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(SignatureError):
        _check(model, key.allowed(tmp_path / "allowed"))


def test_a_key_with_a_passphrase_says_what_it_needs_without_a_terminal(tmp_path: Path) -> None:
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "key"))
    with pytest.raises(SignatureError, match=r"passphrase .*an agent has to hold the key"):
        check_key(tmp_path / "key")


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="does not sign with"):
        check_key(_written(tmp_path / "key", b"no key\n"))


def test_a_key_in_an_agent_signs_by_its_public_file(tmp_path: Path, key: KeyPair) -> None:
    public = tmp_path / "elsewhere.pub"
    public.write_text(key.public)
    with pytest.raises(SignatureError):
        check_key(public)
    script = (
        f"ssh-add -q {key.private} && exec {child.sys.executable} -m edgekit sign m.tflite {public}"
    )
    tiny_model(tmp_path / "m.tflite").chmod(0o640)
    done = subprocess.run(
        ["ssh-agent", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"m.tflite is signed by {key.fingerprint}\n", done.stderr
    assert stat.S_IMODE((tmp_path / "m.tflite").stat().st_mode) == 0o640
    assert _check(tmp_path / "m.tflite", key.allowed(tmp_path / "allowed")).principal == NAME
