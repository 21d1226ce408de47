"""What a signature in a model file is over: all that is read of it, and nothing beside."""

import base64
import hashlib
import io
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import SignatureError
from edgekit.model import signature as signatures
from edgekit.model.container import parse_model, read_model
from edgekit.model.signature import (
    ENTRY,
    LARGEST,
    parse_key,
    read_signature,
    signed_text,
    with_signature,
    without_signature,
)
from tests.signing import NEEDS_SSH_KEYGEN, KeyPair, entries, packed
from tests.tiny import LABELS, tiny_flatbuffer, tiny_model

HERE = Path("model.tflite")


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _armoured(blob: bytes) -> bytes:
    return (
        b"-----BEGIN SSH SIGNATURE-----\n"
        + base64.encodebytes(blob)
        + b"-----END SSH SIGNATURE-----\n"
    )


def _made(key: bytes = _string(b"ssh-ed25519") + _string(bytes(32)), *,
          namespace: bytes = b"edgekit-model", version: int = 1) -> bytes:  # fmt: skip
    """A signature in OpenSSH's form, without a good one in it."""
    fields = (key, namespace, b"", b"sha512", b"none")
    blob = b"SSHSIG" + struct.pack(">I", version) + b"".join(map(_string, fields))
    return _armoured(blob)


SIGNATURE = _made()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_signed_text_is_what_sha256sum_prints_of_every_part() -> None:
    content = packed({"z.txt": b"last", "labels.txt": LABELS, ENTRY: SIGNATURE})
    assert signed_text(content).decode().splitlines() == [
        f"{_sha256(tiny_flatbuffer())}  flatbuffer",
        f"{_sha256(LABELS)}  labels.txt",
        f"{_sha256(b'last')}  z.txt",
    ]


def test_an_entry_called_flatbuffer_is_not_taken_for_the_flatbuffer() -> None:
    flatbuffer = tiny_flatbuffer()
    lines = signed_text(packed({"flatbuffer": b"other", "a": b""})).decode().splitlines()
    assert lines[0] == f"{_sha256(flatbuffer)}  flatbuffer"
    assert lines[2] == f"{_sha256(b'other')}  flatbuffer"


@pytest.mark.parametrize("labels", [LABELS, None], ids=["with a zip", "without one"])
def test_a_signature_is_added_behind_what_is_there(tmp_path: Path, labels: bytes | None) -> None:
    content = tiny_model(tmp_path / "m.tflite", labels=labels).read_bytes()
    signed = with_signature(content, SIGNATURE)
    before, model = parse_model(HERE, content), parse_model(HERE, signed)
    assert model.flatbuffer == before.flatbuffer
    assert model.labels == before.labels
    assert model.signature is not None
    assert model.signature.raw == SIGNATURE
    assert model.signature.text == signed_text(content)
    assert before.signature is None
    kept = len(content) if labels is None else content.index(b"PK\x01\x02")
    assert signed[:kept] == content[:kept]


def test_the_signature_is_stored_for_tools_that_read_no_compressed_entries() -> None:
    signed = with_signature(packed({"labels.txt": LABELS}), SIGNATURE)
    with zipfile.ZipFile(io.BytesIO(signed)) as archive:
        assert archive.getinfo(ENTRY).compress_type == zipfile.ZIP_STORED
        assert archive.testzip() is None


def test_signing_again_replaces_the_signature() -> None:
    content = packed({"labels.txt": LABELS})
    other = _made(_string(b"ssh-ed25519") + _string(bytes(range(32))))
    once, twice = with_signature(content, SIGNATURE), with_signature(content, other)
    assert with_signature(once, other) == twice
    assert without_signature(once) == without_signature(twice) == content


def test_what_is_not_signed_has_no_signature(tmp_path: Path) -> None:
    assert read_model(tiny_model(tmp_path / "m.tflite")).signature is None
    assert read_signature(b"no zip at all") is None
    assert without_signature(b"no zip at all") == b"no zip at all"


def test_a_file_is_unsigned_where_its_zip_is_empty() -> None:
    empty = packed({})
    assert read_signature(empty) is None
    assert signed_text(with_signature(empty, SIGNATURE)) == signed_text(tiny_flatbuffer())


def test_compressed_entries_of_others_are_covered_and_kept() -> None:
    file = io.BytesIO(tiny_flatbuffer())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", LABELS * 9)
    signed = with_signature(file.getvalue(), SIGNATURE)
    assert f"{_sha256(LABELS * 9)}  labels.txt" in signed_text(signed).decode()
    assert signed.startswith(file.getvalue()[: file.getvalue().index(b"PK\x01\x02")])


def test_offsets_from_the_zip_s_own_start_are_understood() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("labels.txt", LABELS)
    content = tiny_flatbuffer() + file.getvalue()
    model = parse_model(HERE, with_signature(content, SIGNATURE))
    assert model.flatbuffer == tiny_flatbuffer()
    assert model.label_file == LABELS


def _named(name: str) -> bytes:
    return packed({"a" * len(name): b"", ENTRY: SIGNATURE}).replace(
        b"a" * len(name), name.encode()
    )  # both of its names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed({"labels.txt": LABELS, ENTRY: SIGNATURE}, comment=b"x"), "a comment"),
        (packed({ENTRY: SIGNATURE, "labels.txt": LABELS}), "not the last entry"),
        (_named("a\nb"), "an entry with the name 'a\\\\nb'"),
        (_named("a\x1b[1mb"), "the name 'a\\\\x1b"),
        (_named("a\\b"), "the name"),
        (_named("labels.txt\0x"), "the name 'labels.txt\\\\x00x'"),
        (_named("edgekit.sig\0x"), "the name 'edgekit.sig\\\\x00x'"),
    ],
    ids=["comment", "order", "line break", "escape", "backslash", "NUL", "NUL behind ours"],
)
def test_what_no_signature_would_cover_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        read_signature(content)
    with pytest.raises(SignatureError, match=reason):
        with_signature(content, SIGNATURE)


@pytest.mark.parametrize("name", [ENTRY, "labels.txt"])
def test_two_entries_of_one_name_are_refused(name: str) -> None:
    file = io.BytesIO(packed({"labels.txt": LABELS, ENTRY: SIGNATURE}))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(name, b"again")
    with pytest.raises(SignatureError, match="two entries of one name"):
        read_signature(file.getvalue())


def _between(content: bytes) -> bytes:
    """With bytes between the entries and the zip's directory."""
    directory = content.index(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    (offset,) = struct.unpack_from("<I", content, end + 16)
    moved = content[end : end + 16] + struct.pack("<I", offset + 4) + content[end + 20 :]
    return content[:directory] + b"junk" + content[directory:end] + moved


def _hidden(content: bytes) -> bytes:
    """With an entry that the zip's directory does not name."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        entry = archive.NameToInfo.pop("labels.txt")
        archive.filelist.remove(entry)
        archive.comment = b""
    return file.getvalue()


def _behind(content: bytes) -> bytes:
    """With bytes behind its end, which the end counts as a comment."""
    return content[:-2] + struct.pack("<H", 4) + b"junk"


def _behind_and_counted(content: bytes) -> bytes:
    """With a comment that counts the bytes of the directory as if it were the zip's end."""
    (size,) = struct.unpack_from("<I", content, len(content) - 10)
    comment = struct.pack("<12xI6x", size + 22)
    return content[:-2] + struct.pack("<H", len(comment)) + comment


@pytest.mark.parametrize("change", [_between, _behind, _behind_and_counted])
def test_bytes_of_no_entry_are_refused(change: Callable[[bytes], bytes]) -> None:
    content = change(packed({"labels.txt": LABELS, ENTRY: SIGNATURE}))
    with pytest.raises(SignatureError, match="bytes that belong to no entry"):
        read_signature(content)


def test_an_entry_that_is_hidden_is_no_longer_signed_as_such() -> None:
    content = packed({"a": b"", "labels.txt": LABELS, ENTRY: SIGNATURE})
    with pytest.raises(SignatureError, match="bytes that belong to no entry"):
        read_signature(_hidden(content))


def test_bytes_before_the_zip_are_signed_with_the_flatbuffer() -> None:
    content = packed({"labels.txt": LABELS}, flatbuffer=tiny_flatbuffer() + b"more")
    assert signed_text(content).startswith(_sha256(tiny_flatbuffer() + b"more").encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"junk",
        b"\x1b[31m" + SIGNATURE,
        SIGNATURE + b"\x1b[31m",
        SIGNATURE[:60],
        _armoured(b"SSHSIG" + struct.pack(">I", 1) + struct.pack(">I", 2**32 - 1)),
        _armoured(b"SSHSIG"),
        _armoured(b""),
        _made(version=2),
        _made(b""),
        _made(_string(b"ssh-\xff")),
    ],
)
def test_what_is_no_signature_of_openssh_is_refused(raw: bytes) -> None:
    with pytest.raises(SignatureError, match="damaged, or none of OpenSSH's"):
        parse_key(raw)
    with pytest.raises(SignatureError, match=r"model.tflite cannot be trusted: its signature"):
        parse_model(HERE, packed({ENTRY: raw}))


def test_a_huge_signature_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = packed({ENTRY: bytes(LARGEST + 1)})
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(SignatureError, match="longer than 16,384 bytes"):
        read_signature(huge)


def test_a_signature_for_another_purpose_is_refused() -> None:
    with pytest.raises(SignatureError, match=r"another purpose \(namespace 'gi t', not"):
        parse_key(_made(namespace=b"gi\x1bt"))


def test_a_kind_of_key_of_a_later_openssh_is_named() -> None:
    key = parse_key(_made(_string(b"ssh-later@openssh.com") + _string(b"x")))
    assert key.kind == "ssh-later@openssh.com"


def test_the_flatbuffer_that_is_signed_is_the_one_that_is_read(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.tflite")
    path.write_bytes(with_signature(path.read_bytes(), SIGNATURE))
    model = read_model(path)
    assert model.signature is not None
    assert model.label_file is not None
    assert model.signature.text.decode().split()[::2] == [
        _sha256(model.flatbuffer), _sha256(model.label_file)
    ]  # fmt: skip


def test_an_unsigned_file_costs_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tiny_model(tmp_path / "m.tflite").read_bytes()
    monkeypatch.setattr(signatures, "_text", None)
    assert read_signature(content) is None


@NEEDS_SSH_KEYGEN
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_is_named_as_ssh_keygen_names_it(tmp_path: Path, kind: str) -> None:
    key = KeyPair.make(tmp_path, kind=kind)
    model = read_model(key.signed(tmp_path / "m.tflite"))
    assert model.signature is not None
    assert str(model.signature.key) == key.fingerprint


@NEEDS_SSH_KEYGEN
@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_and_sha256sum_and_ssh_keygen_check_it_as_the_documentation_says(
    tmp_path: Path,
) -> None:
    key = KeyPair.make(tmp_path)
    model = key.signed(tmp_path / "model.tflite")
    key.allowed(tmp_path / "allowed_signers")
    assert set(entries(model)) == {"labels.txt", ENTRY}
    page = (Path(__file__).parents[3] / "docs" / "signing.md").read_text(encoding="utf-8")
    script = page[page.index("size=") : page.index("```", page.index("size="))]
    script = script.replace("size=11173312", f"size={len(tiny_flatbuffer())}")
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.endswith(f"{key.fingerprint.replace(' ', ' key ')}\n"), done.stderr
