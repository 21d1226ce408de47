"""The suite; it runs without OpenCV's own messages, as the command does."""

from edgekit.cli import silence_opencv

# Before conftest.py and its tests, of which most load OpenCV.
silence_opencv()
