"""`edgekit doctor`: look at a device, and say for everything that is wrong what mends it.

Each module looks at one thing and has functions from a `Device` to diagnoses. None of them needs
what it looks for: all of it may be missing, broken, or of a kind that nobody has seen yet.
"""
