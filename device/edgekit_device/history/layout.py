"""The file of a history: its name, its tables, and how it is opened."""

import os
import sqlite3
import struct
from pathlib import Path

from edgekit.errors import SettingsError, SourceError
from edgekit.files import sync_folder

FILE = "history.sqlite"
CORRECTIONS = "corrections"
SCHEMA = 1
# In the file's header: `edgk`, by which tools tell whose database it is.
_APPLICATION = 0x6564676B
_HEADER = 100
_MAGIC = b"SQLite format 3\0"
# What SQLite raises. Python cannot put its words of a damaged name into an error of SQLite's own.
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
# Seconds to wait for a lock that a reader holds for a moment.
_PATIENCE = 2.0

# `at` and the like are milliseconds since 1970 by the clock on the wall, `aged` seconds by
# `AgeClock`. `seq` is the order in which events came, which is not that of a clock that jumps.
# Pictures are apart: whoever looks through the events need not read past them. An event is found
# by its id through its time, which the id begins with: an index less to write.
TABLES = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    aged INTEGER NOT NULL,
    label TEXT NOT NULL,
    event TEXT NOT NULL,
    sees TEXT
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_label ON events (label, at);
CREATE TABLE pictures (seq INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE watching (
    seq INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    aged INTEGER NOT NULL,
    why TEXT
);
"""


def files_of(path: Path) -> list[Path]:
    """The database and what SQLite keeps beside it."""
    return [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]


def bytes_of(*paths: Path) -> int:
    """Bytes of files, those that are there."""
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def check_header(path: Path) -> bool:
    """Whether a file may be a history that this version reads; False where none is begun yet.

    Nothing is written to it, and what is damaged passes: that shows when it is read.

    Raises:
        SettingsError: it is another program's, or of a later edgekit.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return False
    if len(header) == _HEADER and header.startswith(_MAGIC):
        _check(path, *struct.unpack_from(">I4xI", header, 60))
    return bool(header)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a history, or begin one; for one thread.

    Raises:
        SettingsError: see `check_header`.
        OSError, SQLITE_ERRORS: it cannot be opened.
    """
    check_header(path)
    # Pictures are private; SQLite gives the files beside it the same permissions.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
    try:
        # Before there is a table: a file can then be made smaller step by step.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit is on the disk when it returns: there are few, and from a power cut somebody
        # will want to look back.
        connection.execute("PRAGMA synchronous = FULL")
        # Some builds write zeros over all that is removed, which is as much again.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA cache_size = -1024")
        if not _schema(connection, path):
            _begin(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """Open a history without ever delaying who writes it; None where none is begun.

    Raises:
        SourceError: it cannot be read, is another program's or of a later edgekit.
    """
    connection = None
    try:
        if not check_header(path):
            return None
        connection = sqlite3.connect(_address(path), uri=True, timeout=_PATIENCE)
        connection.isolation_level = None
        connection.execute("PRAGMA cache_size = -512")
        begun = _schema(connection, path)
    except (SettingsError, OSError, *SQLITE_ERRORS) as error:
        if connection is not None:
            connection.close()
        raise SourceError(f"cannot read the history {path}: {error}") from error
    if begun:
        return connection
    connection.close()
    return None


def _check(path: Path, schema: int, application: int) -> None:
    if application not in (0, _APPLICATION) or (schema and not application):
        raise SettingsError(
            f"{path} is another program's database; name another folder in history.folder"
        )
    if schema > SCHEMA:
        raise SettingsError(
            f"{path} is of a later edgekit; install that one, or name another folder in "
            "history.folder"
        )


def _schema(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a history's tables; 0 where there are none."""
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    _check(path, schema, application)
    if not schema and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        _check(path, 1, 0)
    return int(schema)


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")
    # `check_header` reads what it is from the file itself.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    sync_folder(path.parent)


def _address(path: Path) -> str:
    """Its address for SQLite; without locks where none can be taken, and nobody writes."""
    log = path.with_name(path.name + "-wal")
    alone = not log.exists() and not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
