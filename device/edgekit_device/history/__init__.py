"""Events and their pictures on the device's own disk: `Store` writes them, `Reader` reads them.

FOLDER/history.sqlite              events, pictures, and when the daemon was watching
FOLDER/history.sqlite-wal, -shm    SQLite's own, part of the same
FOLDER/history.sqlite.damaged-…    one that could not be read any more
FOLDER/corrections/LABEL/ID.jpg    pictures that somebody said show something else
"""
