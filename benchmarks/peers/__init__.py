"""The same checkpoint, every way a user could run it: `python -m benchmarks.peers`."""
