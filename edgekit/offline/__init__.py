"""Recordings, and what a model makes of them: the same on every machine that has the core.

`recording` reads clips, videos and pictures, `player` puts their frames through the pipeline, and
`replay`, `comparison` and `evaluation` say what comes of it.
"""
