"""The table of readers that are fuzzed."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from edgekit.errors import (
    CheckpointError,
    ConfigurationError,
    DatasetError,
    GoldenError,
    ImageError,
    ModelFileError,
    SourceError,
)
from edgekit.vision.headers import TruncatedError, UnsupportedError
from tests.fuzz import checks, seeds

FOUND = Path(__file__).parent / "found"
_JSON = ("{", "}", "[", "]", ":", ",", '"', "null", "true", "1e999", "-1", "\\u0000", "\\ud800")


class Target(NamedTuple):
    """A reader, and how it is fuzzed.

    Attributes:
        check: runs it on an input, and fails where something does not hold.
        seeds: good inputs.
        longest: bytes of an input.
        raises: what it may raise.
        words: that inputs are made of.
        core: whether it reads what decides on a device; it gets a minute where others get seconds.
    """

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    longest: int = 2048
    raises: tuple[type[Exception], ...] = ()
    words: tuple[str, ...] = ()
    core: bool = False

    @property
    def name(self) -> str:
        """As the command line spells it."""
        return self.check.__name__.replace("_", "-")

    def run(self, data: bytes) -> None:
        """Run it on an input.

        Raises:
            Exception: what holds for any input does not for this.
        """
        checks.run(self.check, data, self.raises)

    def kept(self) -> list[Path]:
        """Inputs that once were found."""
        folder = FOUND / self.name
        return sorted(folder.iterdir()) if folder.is_dir() else []


_TABLE = (
    Target(checks.model, lambda: list(seeds.MODELS.values()), 4096, (ModelFileError,),
           ("TFL3", "TFLITE_METADATA", "edgetpu-custom-op"), core=True),
    Target(checks.archive, seeds.archives, 4096, (ModelFileError,),
           ("PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "labels.txt", "edgekit.json", ".txt",
            "\n\0--\0\n"), core=True),
    Target(checks.manifest, lambda: [seeds.MANIFEST], 4096, (ModelFileError,), _JSON, core=True),
    Target(checks.labels, lambda: seeds.LABEL_FILES, 1024,
           words=("names:", "- ", "id2label", "class_to_idx", "class_id", "# ", "\ufeff", "0: ",
                  *_JSON), core=True),
    Target(checks.clip, seeds.clips, 4096, (SourceError,),
           ("\n\0--\0\n", "clip.json\n", "json\n", "CRC", "end.json\n", "IHDR", "IDAT", "IEND",
            "number", "time", "stretch", "frames", "schema", *_JSON), core=True),
    Target(checks.config, lambda: seeds.CONFIGS, 1024, (ConfigurationError,),
           ("[mqtt]", "[http]", "[webhook]", "[camera]", "listen", "prefix", "url", "source",
            "[decision.labels.", "ignore", "normalization", '"""', "'''", "= ", "1e9", "inf", "0x",
            "1979-05-27"), core=True),
    Target(checks.metadata, lambda: [seeds.DESCRIPTION], 2048,
           (ModelFileError, OverflowError, ValueError, ZeroDivisionError), ("M001",)),
    Target(checks.golden, lambda: [seeds.msgspec.json.encode(seeds.GOLDEN)], 2048, (GoldenError,),
           _JSON),
    Target(checks.truth, lambda: seeds.TRUTHS, 1024, (DatasetError,),
           ("start,end,label", "start_frame", "end_frame", "cat", "dog", "unknown", "1:00:00",
            "null", "\ufeff", *_JSON)),
    Target(checks.table, lambda: seeds.TABLES, 256, (DatasetError, ImageError),
           ("a.png", "1.png", "\t", "class_index", "cat", "dog", "12")),
    Target(checks.picture, seeds.pictures, 2048,
           (TruncatedError, UnsupportedError, ImageError),
           ("Exif\0\0", "IHDR", "acTL", "eXIf", "IEND", "EXIF", "ANIM", "VP8X", "II*\0", "MM\0*",
            "P6 ", "BM")),
    Target(checks.orientation, lambda: seeds.MATRICES, 36),
    Target(checks.video, lambda: seeds.VIDEOS, 512, words=("RIFF", "mdat", "ftyp", "moov")),
    Target(checks.state, lambda: seeds.STATES, 4096, words=_JSON),
    Target(checks.unit, lambda: seeds.UNITS, 512,
           words=("Result=", "ExecMainStatus=", "signal", "core-dump", "exit-code", "oom-kill")),
    Target(checks.push, lambda: seeds.ANSWERS, 1024,
           words=("daemon", "health", "problems", *_JSON)),
    Target(checks.fleet, lambda: seeds.RETAINED, 1024,
           words=("state", "problems", "drift", "signs", "health_interval_s", "label", *_JSON)),
    Target(checks.control, seeds.controls, 1024, words=("refusal", "on", "ring", "change", *_JSON)),
    Target(checks.retry_after, lambda: seeds.RETRIES, 128,
           words=("GMT", "Wed, ", " Oct ", ":", "+0000")),
    Target(checks.address, lambda: seeds.ADDRESSES, 256, (ConfigurationError,),
           ("rtsp://", "https://", "v4l2:", "/dev/video", "@", "[::1]", ":80", "%40", "xn--")),
    Target(checks.access, lambda: seeds.REQUESTS, 512,
           words=("GET\n", "POST\n", "/login", "/healthz", "?token=", "Host: ", "localhost",
                  "127.0.0.1", "[::1]", "Cookie: edgekit-80=", "Authorization: Bearer ")),
    Target(checks.line, lambda: seeds.LINES, 512),
    Target(checks.redaction, lambda: seeds.TEXTS, 256,
           words=("://", ":/", "@", "rtsp", "token=", "password=", "?", "#", "%3A%2F%2F", "%40",
                  "***", "ssh://", "\n")),
)  # fmt: skip
# Not on a device.
_OF_WORKSTATIONS = (
    Target(checks.weights, seeds.weights, 1024, (CheckpointError,),
           ("dtype", "F32", "shape", "data_offsets", "__metadata__", "data.pkl", *_JSON)),
)  # fmt: skip
_WORKSTATION = _OF_WORKSTATIONS if find_spec("edgekit_convert") else ()
TARGETS = {target.name: target for target in (*_TABLE, *_WORKSTATION)}
