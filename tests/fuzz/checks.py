"""What has to hold when a reader gets any bytes at all.

A check fails with an `AssertionError`, or with an exception that its reader may not raise.
"""

import ipaddress
import os
import tempfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np
from edgekit_device.config.file import load, render, shown
from edgekit_device.config.secrets import login
from edgekit_device.fleet import table as fleet_table
from edgekit_device.fleet.devices import Fleet
from edgekit_device.fleet.inventory import inventory
from edgekit_device.fleet.payloads import KINDS
from edgekit_device.health import STATUS_FILE, headline, read_status
from edgekit_device.retry import RetryPolicy
from edgekit_device.service.push.outcome import ABSENT, BROKEN, DAMAGED, MARK, Answer, judge
from edgekit_device.service.state import ServiceState
from edgekit_device.service.store import Store
from edgekit_device.service.systemctl import Unit
from edgekit_device.sinks.clip.protocol import ask, receive
from edgekit_device.sinks.clip.request import ClipRequest
from edgekit_device.sinks.http.access import Access
from edgekit_device.sinks.http.limits import Limits, no_refusals
from edgekit_device.sinks.mqtt.topics import Topics
from edgekit_device.sinks.webhook import _host, _retry_after
from edgekit_device.sources.opencv import is_stream, video_device

from edgekit.errors import EdgekitError, LabelsError, ModelFileError
from edgekit.files import decode_json, decode_text
from edgekit.model.archive import take_apart
from edgekit.model.container import MANIFEST, _decode_manifest, parse_model
from edgekit.model.decode import Reader
from edgekit.model.foreign import Hints, understand_input
from edgekit.model.label_file import parse
from edgekit.model.labels import check_names, distinct
from edgekit.model.metadata import _normalization
from edgekit.offline.clip import MAXIMUM_PIXELS, Clip, _member
from edgekit.offline.golden import check_same, differences, parse_golden
from edgekit.offline.truth import parse_truth
from edgekit.redaction import (
    address_name,
    has_password,
    redact,
    redact_address,
    redact_path,
)
from edgekit.text import first_line, last_line, one_line
from edgekit.vision.dataset import TABLE, labelled_images
from edgekit.vision.headers import (
    Header,
    TruncatedError,
    UnsupportedError,
    kind_of,
)
from edgekit.vision.orientation import of_display_matrix, upright
from edgekit.vision.pictures import _KINDS, decode_image
from edgekit.vision.truncation import is_cut_off
from tests.fuzz.seeds import FLATBUFFER, GOLDEN, SECRET, append_zip, join

PLACE = Path("/a/file")
LABELS = ["cat", "dog", "Dog", "12"]


class _Memory:
    """A file without a disk, at a path that can be opened."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("fuzz")
        self.path = Path(f"/proc/self/fd/{self._descriptor}")

    def write(self, content: bytes) -> Path:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)
        return self.path


_MEMORY = _Memory()


def _now_and_then(data: bytes, one_in: int = 8) -> bool:
    """Whether to look closely, which takes long: for some inputs, always the same ones."""
    return zlib.crc32(data) % one_in == 0


def _parts(data: bytes) -> list[bytes]:
    """An input that is several, as `seeds.join` puts them together."""
    return data.split(join())


# Model files.


def _examine(content: bytes) -> None:
    model = parse_model(PLACE, content)
    height, width = model.geometry.height, model.geometry.width
    assert height > 0
    assert width > 0
    assert model.classes > 0
    try:
        labels = model.labels
    except LabelsError as error:
        _check_message(error)
    else:
        check_names(labels or [])
    if model.manifest is None:
        try:
            understood = understand_input(model.graph, model.flatbuffer, Hints())
        except ModelFileError as error:
            _check_message(error)
        else:
            assert understood.note.isprintable()


def model(data: bytes) -> None:
    """A TFLite model of any kind."""
    _examine(data)


def metadata(data: bytes) -> None:
    """TFLite Metadata: how pixels are normalized, or nothing, as its reader takes these errors."""
    found = _normalization(Reader(data).root())
    assert found is None or (min(found.std) > 0 and max(map(abs, found.mean)) < 1e6)


def archive(data: bytes) -> None:
    """What lies behind a good model: a zip, or, from members that are given, one with good sums."""
    content = FLATBUFFER + data
    if len(parts := _parts(data)) > 1:
        members = (part.partition(b"\n") for part in parts)
        content = append_zip(*((name.decode("latin-1"), inside) for name, _, inside in members))
    if _now_and_then(data):
        _examine(content)
    found = take_apart(content)
    assert content.startswith(found.flatbuffer)
    for name in found.names:
        assert len(found.read(name, 1 << 12)) <= 1 << 12


def manifest(data: bytes) -> None:
    """A manifest, now and then of a good model; what was read is written, and read again."""
    if _now_and_then(data):
        _examine(append_zip((MANIFEST, data), ("labels.txt", b"red\ngreen\nblue\n")))
    found = _decode_manifest(data)
    assert _decode_manifest(msgspec.json.encode(found)) == found


def weights(data: bytes) -> None:
    """A file of weights, unless it is for PyTorch's own reader."""
    from edgekit_convert.weights import formats

    if data[8:9] == b"{":
        content = formats.read(PLACE, data)
        assert isinstance(content.value["state_dict"], dict)
    elif data[:2] == b"PK":
        other = formats._other_archive(data)
        assert other is None or one_line(other)


def labels(data: bytes) -> None:
    """A label file."""
    try:
        text = decode_text(data)
        names, note = parse(text)
        check_names(names)
    except ValueError as error:
        _check_message(error)
        return
    assert note is None or len(note.splitlines()) <= 1
    told: list[str] = []
    found = distinct(names, told.append)
    assert len(found) == len(names)
    assert len(set(found)) == len(found)
    check_names(found)
    # What leaves no doubt is read as it is.
    assert parse(msgspec.json.encode(found).decode()).names == found
    assert distinct(found) == found


# Recordings, and what is known about them.


def _clip_of(data: bytes) -> bytes:
    """A clip of the members that are given, with good sums, or what is given as it is."""
    parts = _parts(data)
    if len(parts) == 1:
        return data
    members = []
    for number, part in enumerate(parts):
        name, _, content = part.partition(b"\n")
        if name == b"json" and number + 1 < len(parts):
            content = content.replace(
                b"CRC", b"%d" % zlib.crc32(parts[number + 1].partition(b"\n")[2])
            )
        members.append(_member(name.decode("ascii", "ignore")[:90], content))
    return b"".join(members)


def clip(data: bytes) -> None:
    """A clip; the same frames come each time, and what is kept of them can be written again."""
    path = _MEMORY.write(_clip_of(data))
    read = Clip(path)
    msgspec.json.encode(read.header)
    frames = list(read)
    for frame in frames:
        assert frame.record is not None
        assert frame.pixels.ndim == 3
        assert frame.pixels.size <= 3 * MAXIMUM_PIXELS
        assert frame.progress <= read.size + 512
        msgspec.json.encode(frame.record)
    assert read.cut is None or read.cut.isprintable()
    if _now_and_then(data):
        assert [frame.record for frame in read] == [frame.record for frame in frames]


def golden(data: bytes) -> None:
    """A golden file; what was read is written, and read again, as it is."""
    found = parse_golden(PLACE, data)
    assert parse_golden(PLACE, msgspec.json.encode(found)) == found
    try:
        check_same(PLACE, found, GOLDEN, any_model=True)
    except EdgekitError as error:
        _check_message(error)
    for line in differences(found.changes[:50], GOLDEN.changes, tolerance=0.1, frames=1):
        assert line.isprintable()


def truth(data: bytes) -> None:
    """Intervals that a person wrote: in order, and none overlaps another."""
    try:
        text = decode_text(data)
    except ValueError as error:
        _check_message(error)
        return
    found = parse_truth(PLACE, text, LABELS)
    for one, other in zip(found.intervals, found.intervals[1:], strict=False):
        assert 0 <= one.start < one.end <= other.start
    assert all(one.label in (*LABELS, "unknown") for one in found.intervals)


_TEMPORARY = tempfile.TemporaryDirectory(prefix="edgekit-fuzz-")
_FOLDER = Path(_TEMPORARY.name)
(_FOLDER / "a.png").touch()
(_FOLDER / "1.png").touch()
(_FOLDER / STATUS_FILE).touch()
(_FOLDER / "pending").hardlink_to(_FOLDER / STATUS_FILE)


def table(data: bytes) -> None:
    """A table of labelled pictures."""
    (_FOLDER / TABLE).write_bytes(data)
    for image in labelled_images(_FOLDER, LABELS):
        assert image.path.is_file()
        assert 0 <= image.index < len(LABELS)


# Pictures and videos.


def picture(data: bytes) -> None:
    """A picture: its decoder takes no more than its header says."""
    kind = kind_of(data)
    if kind is None:
        return
    header: Header = _KINDS[kind][0](data)
    assert 1 <= header.orientation <= 8
    assert not header.note or header.note.isprintable()
    if not 0 < header.width * header.height <= 1 << 14 or kind == "GIF":
        return
    pixels = decode_image(data, "it")
    assert sorted(pixels.shape[:2]) == sorted((abs(header.width), header.height))


def orientation(data: bytes) -> None:
    """A video's display matrix."""
    turned = of_display_matrix(data.ljust(36, b"\0")[:36])
    assert turned is None or upright(np.zeros((2, 3, 3), np.uint8), turned).size == 18


def video(data: bytes) -> None:
    """How a video file begins."""
    assert is_cut_off(_MEMORY.write(data)) in (True, False)


# Settings and state.


def config(data: bytes) -> None:
    """A configuration: what is written of it is read again as it is, and what is shown is not."""
    settings = load(_MEMORY.write(data), {})
    if _now_and_then(data, one_in=64):
        assert load(_MEMORY.write(render(settings).encode()), {}) == settings
        assert "\x1b" not in shown(settings)
    topics = Topics.of(settings.mqtt, settings.device_name)
    for topic in (topics.own("state"), topics.discovery("x"), topics.home_assistant_status):
        assert not set(topic) & set("+#\0\n")


def state(data: bytes) -> None:
    """The files beside the daemon: its status, and an upgrade that is not confirmed."""
    (_FOLDER / STATUS_FILE).write_bytes(data)
    status = read_status(_FOLDER)
    if status is not None:
        headline(status.health)
        assert read_status(_FOLDER) == status
    joined = ServiceState(Unit.parse(""), status)
    assert joined.answers in (True, False)
    pending = Store(_FOLDER).pending
    assert pending is None or (isinstance(pending.new, str) and isinstance(pending.old, str))


def unit(data: bytes) -> None:
    """What systemd says of the service."""
    said = Unit.parse(data.decode("utf-8", "replace"))
    assert min(said.pid, said.restarts) >= 0
    assert isinstance(said.end, str)


# The network.


def push(data: bytes) -> None:
    """What a device answers to a push."""
    for code in (0, 1, 2, ABSENT, BROKEN, DAMAGED, 255):
        for output in (data, *(f"{MARK}{key} ".encode() + data for key in ("version", "after"))):
            outcome = judge("pi", Answer(code, output, data), "00ff")
            assert (outcome.reason is None) == (outcome.outcome == "done")
            assert outcome.shown().message.isprintable()


def fleet(data: bytes) -> None:
    """What a device's topics say on a broker, where anybody may have published it."""
    found = Fleet()
    found.take("pi", "status", b"online", None)
    for kind in KINDS:
        found.take("pi", kind, data, None)
    (device,) = found.devices()
    assert all(text.isprintable() for text in (device.state, device.label, *device.problems))
    assert fleet_table.line(device).isprintable() and fleet_table.render([device], 80)
    assert "{{" not in inventory([device])
    msgspec.json.encode(device)


class _Peer:
    """A connection on which bytes come, and then no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, maximum: int) -> bytes:
        piece, self._data = self._data[:maximum], self._data[maximum:]
        return piece

    def sendall(self, data: bytes) -> None:
        pass


def control(data: bytes) -> None:
    """What comes on the service's socket, on either side."""
    peer: Any = _Peer(data)
    try:
        reply = ask(peer, b"")
        assert reply.refusal is None or isinstance(reply.refusal, str)
        found = decode_json(receive(peer, 4096) or b"", ClipRequest)
    except ValueError as error:
        _check_message(error)
    else:
        assert min(found.ring, found.after, found.max_bytes) >= 0


def retry_after(data: bytes) -> None:
    """A header Retry-After: never less than nothing, never more than the maximum."""
    assert 0 <= _retry_after(data.decode("latin-1"), 30.0) <= 30.0


def address(data: bytes) -> None:
    """An address of a source, a webhook or a host."""
    text = data.decode("utf-8", "replace")
    device = video_device(text.replace("\0", ""))
    assert device is None or isinstance(device, str)
    is_stream(text)
    for one in (redact_path(text), address_name(text), *login(text)):
        assert isinstance(one, str)
    with_secret = f"rtsp://admin:{SECRET}@{text}"
    assert has_password(with_secret)
    assert SECRET not in address_name(with_secret)
    _host(text)


def _run(coroutine: Generator[Any, Any, None]) -> None:
    """A coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


_REACHED: list[bool] = []


async def _app(scope: Any, _receive: Any, _send: Any) -> None:
    _REACHED.append(scope["known"])


# Nobody has to wait after wrong tokens, or hardly one would be looked at.
_LIMITS = Limits(wrong_token=RetryPolicy(0.0, 0.0))
_ACCESS: dict[str | None, Any] = {
    token: Access(_app, token, 80, _LIMITS, no_refusals()) for token in (SECRET * 2, None)
}


def access(data: bytes) -> None:
    """A request: nothing but /healthz is reached without the token, or as another host."""
    method, _, rest = data.partition(b"\n")
    path, _, rest = rest.partition(b"\n")
    # The server lets nothing else through here.
    path = bytes(byte for byte in path if 0x21 <= byte <= 0x7E)
    path, _, query = path.partition(b"?")
    head, _, body = rest.partition(b"\n\n")
    lines = [line.partition(b":")[::2] for line in head.split(b"\n")]
    headers = [(name.strip().lower(), value.strip()) for name, value in lines]
    scope = {
        "type": "http", "method": method.decode("latin-1").upper(), "headers": headers,
        "path": unquote(path.decode()), "raw_path": path, "query_string": query, "scheme": "http",
        "server": ("0.0.0.0", 80), "root_path": "", "http_version": "1.1",
        "client": ("10.0.0.1", 1),
    }  # fmt: skip
    for token, checked in _ACCESS.items():
        _REACHED.clear()
        sent: list[bytes] = []

        async def receive_body() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any, sent: Any = sent) -> None:
            sent.append(message.get("body", b""))
            sent.extend(value for _, value in message.get("headers", ()))

        _run(checked(dict(scope), receive_body, send))
        if token is None:
            assert not _REACHED or _is_local(dict(reversed(headers)).get(b"host", b""))
        else:
            assert SECRET.encode() not in b"\n".join(sent)
            assert not _REACHED or (_REACHED == [False] and scope["path"] == "/healthz")


def _is_local(host: bytes) -> bool:
    name = host.decode("latin-1").lower()
    name = name.rpartition(":")[0] if name.rpartition(":")[2].isdecimal() else name
    name = name.strip("[]")
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost"


# Text.


def line(data: bytes) -> None:
    """Words of others, in one line of ours."""
    text = data.decode("utf-8", "surrogateescape")
    for maximum in (10, 1000):
        found = one_line(text, maximum)
        assert found.isprintable()
        assert len(found) <= maximum
        assert one_line(found, maximum) == found
        found.encode()
    for found in (first_line(text), last_line(data)):
        assert len(found.splitlines()) == 1


def redaction(data: bytes) -> None:
    """A secret that is put into a text does not come out of it."""
    before, user, odd, after = (data.decode("utf-8", "replace").split("\n", 3) + [""] * 4)[:4]
    if SECRET in before + user + odd + after:
        return
    # Whatever ends a word would end the password, too; a person could not tell either.
    odd = "".join(letter for letter in odd if not (letter.isspace() or letter in "'\"<>`"))
    whole = f"rtsp://admin:{odd}{SECRET}@camera/live"
    assert SECRET not in redact(f"{before} {whole} {after}")
    assert SECRET not in redact(f"{before}\n{whole}\n{after}")
    assert SECRET not in redact_address(whole)
    assert SECRET not in redact_address(f"rtsp://{user}:{SECRET}{odd}@{after}")
    assert SECRET not in redact(f"{before} password={SECRET} {after}")
    assert SECRET not in redact(f"{before} https://host/hook?{odd}{SECRET} {after}")
    redact(data.decode("utf-8", "replace"))


def _check_message(error: Exception) -> None:
    """What is said about an input says something, in words of ours."""
    assert str(error).strip(), "an error without a word"
    assert "set_int_max_str_digits" not in str(error), "a message of Python's own"


def run(check: Any, data: bytes, allowed: tuple[type[Exception], ...]) -> None:
    """Run a check on an input; an exception that its reader may raise is a good answer."""
    try:
        check(data)
    except allowed as error:
        # The two say to their caller alone what is wrong, without a word.
        if not isinstance(error, (TruncatedError, UnsupportedError)):
            _check_message(error)
