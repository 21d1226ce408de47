"""The signature in a model file: what it is over, and how it lies in the file.

It is what `ssh-keygen -Y sign` writes, in the entry `edgekit.sig` of the appended zip. Signed is a
text as `sha256sum` prints it: a line for the flatbuffer, then one for every other entry of the zip,
by name. So whatever is read of the file is covered, and `unzip`, `sha256sum` and `ssh-keygen` are
enough to check it. No key is used here: `edgekit.model.signers` does that.
"""

import base64
import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from edgekit.errors import SignatureError
from edgekit.text import one_line

ENTRY = "edgekit.sig"
NAMESPACE = "edgekit-model"
# Bytes. One of an RSA key of 16384 bits has six thousand, with a certificate twice that.
LARGEST = 1 << 14
# Signed with the rest, so that equal files are equal: see `edgekit.model.container`.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?"
)
# The fixed parts of a zip's records: https://pkware.cachefly.net/webdocs/APPNOTE/APPNOTE-6.3.9.TXT
_LOCAL = struct.Struct("<26xHH")
_END = struct.Struct("<12xI6x")
# Of the public keys of OpenSSH: the name that it prints, and how many fields follow it in a key.
_KINDS = {
    "ssh-rsa": ("RSA", 2),
    "ssh-ed25519": ("ED25519", 1),
    "ecdsa-sha2-nistp256": ("ECDSA", 2),
    "ecdsa-sha2-nistp384": ("ECDSA", 2),
    "ecdsa-sha2-nistp521": ("ECDSA", 2),
    "sk-ssh-ed25519@openssh.com": ("ED25519-SK", 2),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("ECDSA-SK", 3),
}
_CERTIFICATE = "-cert-v01@openssh.com"


@dataclass(frozen=True)
class Key:
    """The public key that a signature names; anybody can name it.

    Attributes:
        kind: as ssh-keygen prints it, `ED25519`.
        fingerprint: as ssh-keygen prints it, `SHA256:…`.
    """

    kind: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


@dataclass(frozen=True)
class Signature:
    """A signature as it was found in a file; whether it is good, `edgekit.model.signers` says.

    Attributes:
        raw: what `ssh-keygen -Y sign` wrote.
        text: what it has to be over, from the file's own contents.
        key: what it says that it was made with.
    """

    raw: bytes
    text: bytes
    key: Key


def read_signature(content: bytes) -> Signature | None:
    """The signature of a model file, None where it has none.

    Args:
        content: of the whole file.

    Raises:
        SignatureError: it is no signature of a model, there are two, or something in the file
            would not be covered by it.
    """
    archive = _opened(content)
    if archive is None or ENTRY not in archive.NameToInfo:
        return None
    entry = archive.getinfo(ENTRY)
    if max(entry.file_size, entry.compress_size) > LARGEST:
        raise SignatureError(f"its signature is longer than {LARGEST:,} bytes")
    raw = _read(archive, entry)
    return Signature(raw, _text(content, archive), parse_key(raw))


def signed_text(content: bytes) -> bytes:
    """What the signature of a model file has to be over, whether it has one or not.

    Args:
        content: of the whole file.

    Raises:
        SignatureError: something in the file would not be covered.
    """
    archive = _opened(content)
    return _line(content, "flatbuffer") if archive is None else _text(content, archive)


def without_signature(content: bytes) -> bytes:
    """A model file without the signature that it may have, good or not.

    Raises:
        SignatureError: it is not the last entry of the zip, or see `signed_text`.
    """
    signed_text(content)
    archive = _opened(content)
    if archive is None or ENTRY not in archive.NameToInfo:
        return content
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        entry = archive.NameToInfo.pop(ENTRY)
        archive.filelist.remove(entry)
        # Nothing but the zip's directory lies behind it, and that is written anew.
        archive.start_dir = entry.header_offset
        archive.comment = b""
    return file.getvalue()


def with_signature(content: bytes, raw: bytes) -> bytes:
    """A model file with a signature, in place of the one that it may have.

    Args:
        content: of the whole file.
        raw: what `ssh-keygen -Y sign` wrote for its `signed_text`.

    Raises:
        SignatureError: see `read_signature`.
    """
    file = io.BytesIO(without_signature(content))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(ENTRY, _ZIP_EPOCH), raw)
    signed = file.getvalue()
    made = read_signature(signed)
    if made is None or (made.raw, made.text) != (raw, signed_text(content)):
        raise SignatureError("its zip is one that nothing can be added to")
    return signed


def parse_key(raw: bytes) -> Key:
    """The key that a signature names.

    The format is https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig.

    Raises:
        SignatureError: it is no signature of OpenSSH's, or one for another purpose.
    """
    armoured = _ARMOUR.fullmatch(raw)
    try:
        if armoured is None or len(raw) > LARGEST:
            raise ValueError
        blob = base64.b64decode(armoured[1].replace(b"\n", b""), validate=True)
        magic, version = struct.unpack_from(">6sI", blob)
        key, namespace, _reserved, _hash, _signature = _fields(blob[10:])
        if (magic, version) != (b"SSHSIG", 1):
            raise ValueError
        parsed = _key(key)
    except (ValueError, StopIteration, struct.error) as error:
        raise SignatureError("its signature is damaged, or none of OpenSSH's") from error
    if namespace != NAMESPACE.encode():
        made_for = one_line(namespace.decode("utf-8", "replace"), 40)
        raise SignatureError(
            f"its signature was made for another purpose (namespace '{made_for}', not "
            f"'{NAMESPACE}')"
        )
    return parsed


def _key(blob: bytes) -> Key:
    fields = _fields(blob)
    name = next(fields).decode("ascii")
    is_certificate = name.endswith(_CERTIFICATE)
    if is_certificate:
        name = name.removesuffix(_CERTIFICATE)
        name = f"{name}@openssh.com" if name.startswith("sk-") else name
    # A kind of a later OpenSSH is named as it names itself.
    kind, count = _KINDS.get(name, (one_line(name, 60), 0))
    if is_certificate:
        kind += "-CERT"
        # Its fingerprint is that of the key that it is for, which follows a nonce.
        own = [name.encode(), *islice(fields, 1, 1 + count)]
        blob = b"".join(struct.pack(">I", len(field)) + field for field in own)
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return Key(kind, f"SHA256:{digest}")


def _fields(blob: bytes) -> Iterator[bytes]:
    """The strings of RFC 4251 that a blob begins with.

    Raises:
        ValueError, struct.error: it ends within one.
    """
    while blob:
        (length,) = struct.unpack_from(">I", blob)
        field, blob = blob[4 : 4 + length], blob[4 + length :]
        if len(field) < length:
            raise ValueError("cut off")
        yield field


def _opened(content: bytes) -> zipfile.ZipFile | None:
    """The zip behind the flatbuffer; None where there is none that can be read."""
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except Exception:  # whatever damage provokes; the reader of the file judges that
        return None


def _text(content: bytes, archive: zipfile.ZipFile) -> bytes:
    """The signed text of a file with a zip."""
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    start = entries[0].header_offset if entries else archive.start_dir
    names = [entry.filename for entry in entries]
    for entry in entries:
        # What follows a NUL is no part of the name; sha256sum alters a line with a backslash.
        if entry.filename != entry.orig_filename or not _is_plain(entry.filename):
            raise SignatureError(
                f"its zip has an entry with the name {one_line(ascii(entry.orig_filename), 60)}"
            )
    if len(set(names)) < len(names):
        raise SignatureError("its zip has two entries of one name")
    if ENTRY in names[:-1]:
        raise SignatureError("its signature is not the last entry of its zip")
    if not _is_gapless(content, archive, entries, start):
        raise SignatureError(
            "its zip has a comment, or bytes that belong to no entry, which no signature covers; "
            "pack it anew"
        )
    lines = [_line(content[:start], "flatbuffer")]
    for entry in sorted(entries, key=lambda entry: entry.filename.encode()):
        if entry.filename != ENTRY:
            lines.append(_line(_read(archive, entry), entry.filename))
    return b"".join(lines)


def _is_gapless(
    content: bytes, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], start: int
) -> bool:
    """Whether a file is its flatbuffer, the entries, the zip's directory, and nothing else."""
    place = start
    try:
        for entry in entries:
            if entry.header_offset != place:
                return False
            name, extra = _LOCAL.unpack_from(content, place)
            place += _LOCAL.size + name + extra + entry.compress_size
        (size,) = _END.unpack_from(content, len(content) - _END.size)
    except struct.error:
        return False
    directory = archive.start_dir
    return (
        not archive.comment and place == directory and directory + size + _END.size == len(content)
    )


def _is_plain(name: str) -> bool:
    return bool(name) and name.isprintable() and "\\" not in name


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(entry)
    except Exception as error:  # whatever damage or encryption provokes
        raise SignatureError(f"{entry.filename} in its zip cannot be read ({error})") from error


def _line(content: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
