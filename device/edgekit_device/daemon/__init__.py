"""The daemon: its parts are started, watched, replaced and stopped; a worker answers frames.

`cli` is `edgekit run`, `record` is `edgekit record`.
"""
