"""Coverage-guided fuzzing of everything that reads what others wrote: `python -m tests.fuzz`.

`targets` is the table, a reader a row; `checks` are the readers as functions of bytes, with what
has to hold for any bytes; `seeds` are good inputs to begin with. `campaign` runs them with atheris,
which installs where it has a wheel (`pip install -e ".[fuzz]"`). What was found is kept in `found/`
and replayed, with the seeds, by an ordinary test, which needs no atheris.
"""
