"""Every fault that is tried on a running daemon: what it does, shows, and loses.

Rows of docs/reliability.md; each is tried by the test in this folder that asks for its `row`.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from edgekit_device import retry
from edgekit_device.config.settings import Settings

_WELL = ("running",)
_AWAY = ("degraded", "stalled")


@dataclass(frozen=True)
class Bound:
    """The longest that it takes to be well again, once the fault is over.

    Attributes:
        settings: that it is the sum of, with `seconds`.
        constant: seconds that no setting changes.
        instead: words where it is no time.
    """

    settings: tuple[str, ...] = ()
    constant: float = 0.0
    instead: str = ""

    def seconds(self) -> float:
        """With default settings."""
        return self.constant + sum(_default(name) for name in self.settings)

    def __str__(self) -> str:
        if self.instead:
            return self.instead
        parts = [f"`{name}`" for name in self.settings]
        if not parts:
            return f"{self.constant:g} s"
        if self.constant:
            parts.append(f"{self.constant:g} s")
        return f"{' + '.join(parts)} = {self.seconds():g} s"


def _default(name: str) -> float:
    value: object = Settings()
    for part in name.split("."):
        value = getattr(value, part.replace("-", "_"))
    assert isinstance(value, (int, float))
    return float(value)


@dataclass(frozen=True)
class Fault:
    """A row.

    Attributes:
        name: in tests.
        what: happens.
        does: what the daemon does.
        states: that health shows, one of them.
        message: of the problem in health, or of the process as it ends; `…` stands for what
            differs. Empty for no problem.
        bound: how long it takes afterwards.
        lost: what is lost, and where it is counted.
    """

    name: str
    what: str
    does: str
    states: tuple[str, ...]
    message: str
    bound: Bound
    lost: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Of the message."""
        return re.compile(".*".join(re.escape(part) for part in self.message.split("…")))


@dataclass(frozen=True)
class Area:
    """Rows of one part, with the file of tests that tries them."""

    title: str
    tests: str
    faults: tuple[Fault, ...] = field(default=())


# A loop of the daemon, and a look at how it is.
_AT_ONCE = Bound(constant=1.0)
_CAMERA = Bound(("camera.timeout",), retry.CAMERA.maximum)
_BROKER = Bound(constant=retry.BROKER.maximum + 5.0)
_SERVICE = Bound(
    instead=f"systemd starts it again after 2 to {retry.SERVICE_RESTART.maximum + 2:g} s"
)
_NO_FRAMES = "no frame that came; `restarts` counts the openings"
_QUEUED = "nothing up to 1,000 events; then the oldest, counted as `dropped` of the sink"
_NOTHING = "nothing"

AREAS = (
    Area("Camera", "test_cameras.py", (
        Fault("camera-stalls", "it sends nothing more",
              "opens it again, with growing and random delays; gives up after `recovery.camera` "
              "with exit code 10",
              _AWAY, "camera: … stalled: no frame for … opening it again in", _CAMERA, _NO_FRAMES),
        Fault("camera-ends", "it hangs up, or is unplugged", "the same",
              _AWAY, "camera: … opening it again in", _CAMERA, _NO_FRAMES),
        Fault("camera-garbage", "its pictures are garbage", "the same, after `camera.timeout`",
              _AWAY, "camera: … damaged frames…; opening it again in", _CAMERA,
              "those frames, counted as `damaged` and `dropped`"),
        Fault("camera-noise", "its stream is garbage", "the same",
              _AWAY, "camera: … opening it again in", _CAMERA, _NO_FRAMES),
        Fault("camera-halves", "some pictures are cut off", "answers the whole ones alone",
              _WELL, "", _AT_ONCE, "those frames, counted as `damaged` and `dropped`"),
        Fault("camera-giants", "some pictures are JPEGs of more than 33 megapixels",
              "does not decode them", _WELL, "", _AT_ONCE,
              "those frames, counted as `damaged` and `dropped`"),
        Fault("camera-size", "its pictures change their size", "answers them as they are",
              _WELL, "", _AT_ONCE, _NOTHING),
        Fault("camera-covered", "its pictures are no longer like those that the model is for: its "
              "lens is covered, say",
              "answers them; tells `drift` after some minutes, and what to do",
              _WELL, "", Bound(instead="some minutes later"), _NOTHING),
        Fault("camera-absent", "it is away at the start",
              "ends with exit code 1 after `camera.timeout` at most",
              ("ended",), "… does not open; check its address", _SERVICE, _NOTHING),
        Fault("camera-never-back", "it stays away", "ends with exit code 10",
              ("ended",), "… gave up", _SERVICE, _NOTHING),
        Fault("camera-reload", "it is lost while the configuration is read again",
              "takes the configuration, and opens the camera that this names",
              _AWAY, "camera: … opening it again in", _CAMERA, _NO_FRAMES),
        Fault("source-refused", "a reload names a source that is away",
              "goes on with the source before, until the file is put right and read again",
              ("degraded",), "source: … going on with the source before", _AT_ONCE,
              "frames of about a second"),
    )),
    Area("MQTT broker", "test_brokers.py", (
        Fault("broker-absent", "it is away at the start", "connects again and again, with growing "
              "and random delays; gives up after `mqtt.give-up` with exit code 12",
              ("degraded",), "mqtt: cannot reach the MQTT broker … Connection refused",
              _BROKER, _QUEUED),
        Fault("broker-killed", "it is killed, later", "the same",
              ("degraded",), "mqtt: … the MQTT broker …", _BROKER, _QUEUED),
        Fault("broker-frozen", "it hangs, with its connections open",
              "takes it for lost after 30 s without an answer, and does the same",
              ("degraded",), "mqtt: the MQTT broker …", _BROKER, _QUEUED),
        Fault("broker-slow", "it acknowledges more slowly than events come",
              "sends 20 before it waits for an answer, and drops the oldest of 1,000",
              ("degraded",), "mqtt: it is slower than events come", _BROKER, _QUEUED),
        Fault("broker-refuses", "it refuses user or password",
              "tries again, with the password file as it is then",
              ("degraded",), "mqtt: … refuses us: not authorized; check user and password",
              _BROKER, _QUEUED),
        Fault("broker-certificate", "its certificate is not the one expected",
              "tells it nothing, and tries again",
              ("degraded",), "mqtt: … its certificate is not trusted", _BROKER, _QUEUED),
        Fault("broker-oversized", "it announces a message of 256 MB",
              "cuts the connection, and connects again",
              ("degraded",), "mqtt: …", _BROKER, _QUEUED),
        Fault("broker-garbage", "what answers is no broker", "cuts the connection, and tries again",
              ("degraded",), "mqtt: …", _BROKER, _QUEUED),
    )),
    Area("Webhook", "test_webhooks.py", (
        Fault("webhook-hangs", "it accepts an event, and says nothing",
              "tries each event `webhook.tries` times, for `webhook.timeout` each",
              ("degraded",), "webhook: cannot reach … it does not answer in time",
              Bound(("webhook.timeout",), retry.WEBHOOK.maximum),
              "events after their tries, counted as `dropped`"),
        Fault("webhook-drips", "it answers a byte at a time, without end", "the same",
              ("degraded",), "webhook: …", Bound(("webhook.timeout",), retry.WEBHOOK.maximum),
              "events after their tries, counted as `dropped`"),
        Fault("webhook-fails", "it answers 500", "the same",
              ("degraded",), "webhook: … answers 500",
              Bound(("webhook.timeout",), retry.WEBHOOK.maximum),
              "events after their tries, counted as `dropped`"),
        Fault("webhook-busy", "it answers 429 with a `Retry-After`",
              f"waits as long as that says, {retry.WEBHOOK.maximum:g} s at most",
              ("degraded",), "webhook: … answers 429",
              Bound(("webhook.timeout",), retry.WEBHOOK.maximum),
              "events after their tries, counted as `dropped`"),
        Fault("webhook-refuses", "it answers 404", "does not try that event again",
              ("degraded",), "webhook: … answers 404", _AT_ONCE,
              "those events, counted as `dropped`"),
        Fault("webhook-lies", "its reason phrase speaks of a model that was refused",
              "shows it as the webhook's words, on one line; an upgrade goes on",
              ("degraded",), "webhook: … answers 500", _AT_ONCE,
              "events after their tries, counted as `dropped`"),
    )),
    Area("Web clients", "test_web_clients.py", (
        Fault("http-slow-readers", "60 clients read `/events`, and take nothing",
              "answers the others; takes nobody's words into its memory without end",
              _WELL, "", _AT_ONCE, "what those clients do not take"),
        Fault("http-half-open", "200 connections ask for nothing",
              "lets the oldest give way to whoever asks, and ends all after 10 s",
              _WELL, "", _AT_ONCE, _NOTHING),
        Fault("http-flood", "600 requests come at once", "answers them",
              _WELL, "", _AT_ONCE, _NOTHING),
        Fault("http-chunks", "a request is no HTTP, or its body is",
              "refuses it, without a line in the journal", _WELL, "", _AT_ONCE, _NOTHING),
        Fault("http-guessing", "a client shows one wrong token after the other",
              "looks at no more of its tokens for a while, which grows up to a minute",
              _WELL, "", _AT_ONCE, _NOTHING),
    )),
    Area("Disk", "test_disks.py", (
        Fault("disk-full-clip", "it is full while a clip is recorded",
              "ends `edgekit record` with exit code 1; the frames so far are in `CLIP.part`",
              ("ended",), "No space left on device", Bound(instead="free some space"),
              "frames since, told with their number"),
        Fault("disk-full-golden", "it is full as a golden file is written",
              "ends `edgekit replay` with exit code 1, and leaves no part of a file",
              ("ended",), "cannot write … No space left on device",
              Bound(instead="free some space"), _NOTHING),
        Fault("disk-read-only", "it may not be written to",
              "refuses `edgekit record` before a camera is opened",
              ("ended",), "cannot be written", Bound(instead="choose another output"), _NOTHING),
        Fault("disk-status", "the runtime directory is full, or gone",
              "answers frames, and tells everybody else", ("degraded",),
              "status: cannot write it to …", _AT_ONCE, "the status for `edgekit service status`"),
        Fault("disk-full-stdout", "stdout leads to a full disk", "ends with exit code 1",
              ("ended",), "cannot write to the output: No space left on device", _SERVICE,
              "events since, told with their number"),
    )),
    Area("Model file", "test_models.py", (
        Fault("model-deleted", "it is deleted", "goes on with the model that it has",
              ("degraded",), "model: … is gone; a restart would fail", Bound(constant=5.0),
              _NOTHING),
        Fault("model-damaged", "a damaged one takes its place", "the same",
              ("degraded",), "model: … going on with the one before", Bound(constant=5.0),
              _NOTHING),
        Fault("model-fifo", "a pipe takes its place", "the same",
              ("degraded",), "model: … going on with the one before", Bound(constant=5.0),
              _NOTHING),
        Fault("model-swaps", "it is replaced 200 times", "runs the last one, and keeps none before",
              _WELL, "", Bound(constant=5.0), _NOTHING),
    )),
    Area("Process and machine", "test_processes.py", (
        Fault("clock-forward", "the clock jumps ahead by a year",
              "goes on: only `ts` in messages follows the clock", _WELL, "", _AT_ONCE, _NOTHING),
        Fault("clock-back", "the clock jumps back by a year", "the same",
              _WELL, "", _AT_ONCE, _NOTHING),
        Fault("process-stopped", "the process is stopped for longer than every time-out",
              "goes on as it continues; systemd's watchdog kills it after 60 s",
              (*_WELL, *_AWAY), "", Bound(("camera.timeout",), retry.BROKER.maximum),
              "frames of that time; the camera may be opened again"),
        Fault("reload-bad", "SIGHUP with a file that is wrong, endless, a pipe, or gone",
              "goes on as it is", ("degraded",), "configuration: … going on with the one before",
              _AT_ONCE, _NOTHING),
        Fault("reload-often", "SIGHUP 100 times in a row", "reads the file once or twice",
              _WELL, "", _AT_ONCE, _NOTHING),
        Fault("reload-swap", "SIGHUP while a model is exchanged", "does both",
              _WELL, "", Bound(constant=5.0), _NOTHING),
        Fault("stop-anytime", "SIGTERM while camera and broker are away",
              "ends within two seconds, with exit code 0", _AWAY, "camera: …",
              Bound(instead="it was told to end"),
              "events that wait, told with their number"),
        Fault("stdout-reader-gone", "the reader of stdout has gone",
              "ends: with exit code 0 behind a pipe (`| head`), with 1 where it was the journal",
              ("ended",), "", _SERVICE, "events since"),
        Fault("stdout-blocked", "the reader of stdout takes nothing",
              "goes on, and drops the oldest of 1,000 events", ("degraded",),
              "stdout: it is slower than events come", _AT_ONCE,
              "events that found no room, counted as `dropped`"),
        Fault("stderr-blocked", "the reader of stderr takes nothing", "goes on",
              (*_WELL, *_AWAY), "", _AT_ONCE, "lines for people that found no room"),
        Fault("memory-short", "there is no memory for a source that a reload names",
              "goes on with the source before", ("degraded",),
              "source: … going on with the source before", _AT_ONCE, "frames of a few seconds"),
    )),
)  # fmt: skip
_FAULTS = {fault.name: fault for area in AREAS for fault in area.faults}


def row(name: str) -> Fault:
    """The row of a fault."""
    return _FAULTS[name]
