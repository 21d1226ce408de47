"""Files that are either whole or not there, whatever happens to the power; text of any encoding."""

import codecs
import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from edgekit.errors import ConfigurationError, EdgekitError, OutputError
from edgekit.text import one_line

_T = TypeVar("_T")
# A path, as programs give one.
StrPath: TypeAlias = str | os.PathLike[str]
# Bytes of the longest text that is read: labels of every frame of a week.
TEXT_LIMIT = 64 << 20

_PAGE = 1 << 16


def as_path(value: Any, what: str) -> Path:
    """A path that a program gives.

    Raises:
        ConfigurationError: it is none; `what` it should name is in the message.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(f"{type(value).__name__} is not {what}; give its path")
    if not os.fspath(value):
        raise ConfigurationError(f"the path of {what} is empty")
    return Path(value)


def check_writable(path: Path) -> None:
    """Raise `OutputError` when `path` could not be written; long work asks before it starts."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write")
    if path.exists() and not path.is_file():
        # It would be replaced: root would lose /dev/null.
        raise OutputError(f"{path} is a device or a pipe; name a file to write")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; create it or choose another output")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} cannot be written; choose another output")


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse what could not be written, or would take the place of what is read.

    Args:
        outputs: files to write; None for one that is not wanted.
        inputs: files that are read; None, and names of what is not there, do no harm.

    Raises:
        OutputError: two outputs are one file, an output is an input under whatever name, or see
            `check_writable`.
    """
    read = [path for path in inputs if path is not None and path.exists()]
    written: list[Path] = []
    for output in outputs:
        if output is None:
            continue
        check_writable(output)
        if any(output.exists() and output.samefile(path) for path in read):
            raise OutputError(f"{output} is read here, and would be lost; choose another output")
        place = output.parent.resolve() / output.name
        if place in written:
            raise OutputError(f"{output} is to be written twice; choose another for one of them")
        written.append(place)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut.

    Raises:
        OSError: the system refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileStamp(msgspec.Struct, frozen=True):
    """What a file looks like from outside; another one means that it was written anew.

    Attributes:
        path: of the file.
        inode, size, modified_ns: as the system has them; bytes, and nanoseconds since 1970.
    """

    path: str
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileStamp | None":
        """That of a file, or of what a link leads to; None while there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


def read_bounded(path: Path, maximum: int, *, follow: bool = False) -> bytes:
    """The bytes of a regular file that somebody else may have put there; never waits.

    Args:
        path: of the file.
        maximum: number of bytes.
        follow: whether it may be a link to one.

    Raises:
        OSError: there is none, it is a link, a pipe or a device, it is longer than `maximum`, or
            grows meanwhile.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        # As much memory as it has bytes; those of /proc say that they have none.
        size = min(status.st_size or _PAGE, maximum)
        with open(descriptor, "rb", closefd=False) as stream:
            content = stream.read(size + 1)
    finally:
        os.close(descriptor)
    if max(len(content), status.st_size) > maximum:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    if len(content) > size:
        raise OSError(errno.EBUSY, "changes while it is read", str(path))
    return content


def replace_file(
    path: Path,
    content: bytes,
    temporary: Path,
    mode: int | None = None,
    group: int | None = None,
) -> None:
    """Write `content` to `temporary` beside `path`, then rename it; whole, or not at all.

    Args:
        path: the file to write or replace.
        content: its bytes.
        temporary: in the same folder; replaced if it exists, gone afterwards.
        mode: permissions; those that the umask leaves of 0666 by default.
        group: number of the group that it belongs to; the process's own by default.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    try:
        temporary.unlink(missing_ok=True)
        # A file of our own, and nobody reads it before it has its permissions.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666 if mode is None else 0o600)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - it is open already
            if group is not None:
                os.fchown(descriptor, -1, group)
            if mode is not None:
                os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file that a user asked for, whole or not at all.

    Args:
        path: the file to write or replace.
        content: its bytes.
        mode: permissions; those that the umask leaves of 0666 by default.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full.
    """
    check_writable(path)
    # Of its own name, because two may write the same file at once.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        replace_file(path, content, temporary, mode)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def read_file(
    path: Path, failure: type[EdgekitError], what: str, maximum: int = TEXT_LIMIT, remedy: str = ""
) -> bytes:
    """The bytes of a file that a user names; never waits.

    Args:
        path: the file, or a link to it.
        failure: the error that is raised.
        what: the file is, for messages: `labels`.
        maximum: number of bytes.
        remedy: what to do about one that cannot be read.

    Raises:
        EdgekitError: as `failure`: the file cannot be read, is a pipe or a device, or is longer.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise failure(f"the {what} {path} is a device or a pipe; name a file")
        with path.open("rb") as stream:
            content = stream.read(maximum + 1)
    except OSError as error:
        reason = error.strerror or error
        ending = f"; {remedy}" if remedy else ""
        raise failure(f"cannot read the {what} {path}: {reason}{ending}") from error
    if len(content) > maximum:
        raise failure(f"the {what} {path} has more than {maximum} bytes; is it the right file?")
    return content


def read_text(path: Path, failure: type[EdgekitError], what: str) -> str:
    """The text of a file that a person or another program wrote.

    UTF-8, or UTF-16 with its byte order mark; a mark is no part of the text.

    Args:
        path, failure, what: see `read_file`.

    Raises:
        EdgekitError: as `failure`: the file cannot be read, or is in another encoding.
    """
    content = read_file(path, failure, what)
    try:
        return decode_text(content)
    except ValueError as error:
        raise failure(f"{path} {error}; save it as UTF-8") from error


def decode_text(content: bytes) -> str:
    """The text of bytes as `read_text` has them.

    Raises:
        ValueError: they are in another encoding; the message is a clause without a file's name.
    """
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise ValueError("is UTF-32 text")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise ValueError("is UTF-16 text that is damaged") from error
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text (line {line}; is it Latin-1?)") from error
    if "\0" in text:
        raise ValueError("is binary, or UTF-16 text without a byte order mark")
    return text


class Layout(msgspec.Struct, frozen=True):
    """What files say of themselves whose layout may change: its version, counted from 1."""

    schema: Annotated[int, msgspec.Meta(ge=1)]


def decode_json(content: bytes, kind: type[_T]) -> _T:
    """The value that bytes from anywhere say in JSON.

    Raises:
        ValueError: they are damaged, or say something else; the message is a clause that says what
            is wrong.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 from byte {error.start} of a text on") from error
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    except msgspec.MsgspecError as error:
        raise ValueError(one_line(error)) from error
