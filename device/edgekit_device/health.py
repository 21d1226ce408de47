"""How the daemon is: one JSON object in every sink. Absent values are left out, not null."""

import os
from pathlib import Path

import msgspec

from edgekit.files import FileStamp, read_bounded
from edgekit.inference.events import State
from edgekit.origin import built_commit, built_files
from edgekit.redaction import redact
from edgekit.text import one_line

# Characters, four times those that `one_line` leaves.
_LONGEST = 4000


def shown(text: str) -> str:
    """Words that came from a file or the network, as health may hold them: a line, no secrets."""
    # Of what is far too long, all that follows is cut away anyhow.
    return one_line(redact(text[:_LONGEST]))


class Latency(msgspec.Struct, frozen=True):
    """Preprocessing plus inference of the last thousand frames, in milliseconds."""

    p50: float
    p90: float
    p99: float


class SinkHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the messages of one sink.

    Attributes:
        sent: messages delivered.
        dropped: messages given up because the sink was too slow or away.
        queued: messages waiting.
        problem: why it does not deliver now, in words.
        refused: how often a client did not get what it wanted, by reason; of `http` alone.
        pictures_dropped: pictures that their events went without.
        takeovers: how often another device with the same name was met; of `mqtt` alone.
        namesake: host and address of another device with the same name; empty while there is none.
    """

    sent: int
    dropped: int
    queued: int
    problem: str | None = None
    refused: dict[str, int] = {}
    pictures_dropped: int = 0
    takeovers: int = 0
    namesake: str = ""

    def shown(self) -> "SinkHealth":
        """The same, with a problem that is `shown`."""
        return msgspec.structs.replace(self, problem=self.problem and shown(self.problem))


class DriftSign(msgspec.Struct, frozen=True):
    """A figure that is not what it was when the model was converted, and in which way, in words."""

    figure: str
    text: str


class DriftHealth(msgspec.Struct, frozen=True):
    """What has changed in pictures and answers; as text, what is different.

    Attributes:
        since: RFC 3339 in UTC, to the second.
        signs: what is different, at least one.
        advice: what to do about it.
    """

    since: str
    signs: list[DriftSign]
    advice: str

    def __str__(self) -> str:
        return ", ".join(sign.text for sign in self.signs)


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the daemon is.

    Attributes:
        ts: RFC 3339 in UTC.
        name: of the device.
        state: `starting` until the first answer; `degraded` while `problems` are named and frames
            are answered all the same; `stalled` when they are not; `paused` while nobody wants
            them to be.
        problems: what is not as it should be, in words.
        version: of edgekit.
        uptime_s: seconds since the start.
        source, model, model_sha256, runtime: what runs; empty until it does.
        accelerator: the delegate in use, `cpu` without one.
        frames, dropped, events: counts since the start.
        damaged: those of the dropped frames that could not be decoded as the camera saw them.
        fps: frames answered per second, over the last ten seconds or so.
        latency_ms: none before the first answer.
        frame_age_s, inference_age_s: seconds since the last frame and the last answer; none while
            it is paused.
        memory_bytes: resident memory of the process.
        temperature_c: of the processor, in degrees Celsius, where the system tells.
        throttled: what slows the processor down now, such as `under-voltage`.
        restarts: how often each part was opened again.
        sinks: by name.
        model_signer: who signed the model: `NAME, KIND SHA256:…` by the allowed signers; without
            these `KIND SHA256:…, not checked`, or `unsigned`. Empty until it runs.
        model_since: when the model's file, or the service's link to it, was put in its place, RFC
            3339 in UTC, to the second. Empty until it runs.
        drift: how pictures and answers differ from those that the model was converted with; no
            problem, since frames are answered as well as ever. None where there is no drift.
        drift_figures: what is compared for that; none without a profile in the model file, and
            before enough frames were seen.
        decision_from: who says how scores become labels, in words; the first to speak of a setting
            wins. Empty until a model runs.
        runtime_from: why `runtime` is the one that runs, in words, with what was measured. Empty
            until a model runs.
        failed_pictures: frames of changes of which no picture could be made.
        control: how often clients asked for each action that was `done`, `failed` or `refused`.
        commit: that edgekit was built from, see `edgekit.origin.built_commit`; empty where that is
            unknown, as of a checkout.
    """

    ts: str
    name: str
    state: State
    problems: list[str]
    version: str
    uptime_s: float
    source: str
    model: str
    model_sha256: str
    runtime: str
    accelerator: str
    frames: int
    dropped: int
    events: int
    fps: float
    memory_bytes: int
    restarts: dict[str, int]
    sinks: dict[str, SinkHealth]
    latency_ms: Latency | None = None
    frame_age_s: float | None = None
    inference_age_s: float | None = None
    temperature_c: float | None = None
    throttled: list[str] = []
    damaged: int = 0
    model_signer: str = ""
    model_since: str = ""
    drift: DriftHealth | None = None
    drift_figures: list[str] = []
    decision_from: str = ""
    runtime_from: str = ""
    failed_pictures: int = 0
    control: dict[str, dict[str, int]] = {}
    commit: str = ""


def installed_commit() -> str:
    """The commit that the device side was built from, as it lies on the disk now; see `Health`."""
    return built_commit("edgekit-core", "edgekit-device")


def installed_code() -> str:
    """A hash of the code of the device side, as it was installed; see `Status`."""
    return built_files("edgekit-core", "edgekit-device")


def headline(health: Health) -> str:
    """A line for people: state, model, frames per second, problems and drift."""
    model = f"model {health.model_sha256[:12]}"
    rate = [] if health.state == "paused" else [f"{health.fps:g} fps"]
    drift = [f"drift: {health.drift}"] if health.drift else []
    return " · ".join([health.state, model, *rate, *health.problems, *drift])


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon leaves in its runtime directory, for the commands beside it.

    Attributes:
        pid: of the daemon.
        health: how it is.
        problems: `health.problems` by part: `camera`, `model`, `mqtt` and so on.
        refused_model: why it does not use the model file that is there; None when it does.
        reloads: how often it has read its configuration again, or found it wrong, since its start.
        configuration: the file that it follows, as it was when it was read. No hash: all may read
            this, and could try out passwords. None where there is none, or of an earlier edgekit.
        code: of the edgekit that it runs, see `edgekit.origin.built_files`; empty where that is
            unknown, as of a checkout.
    """

    pid: int
    health: Health
    problems: dict[str, str]
    refused_model: str | None = None
    reloads: int = 0
    configuration: FileStamp | None = None
    code: str = ""


STATUS_FILE = "status.json"
# Bytes; a status has a few thousand.
_STATUS_LIMIT = 1 << 20
# What RuntimeDirectory= in systemd/edgekit.service makes.
SERVICE_FOLDER = Path("/run/edgekit")


def runtime_folder() -> Path | None:
    """The folder that systemd gives this process for as long as it runs; None without one."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) if folder else None


def write_status(folder: Path, status: Status) -> None:
    """Replace the status in a runtime directory; memory, so that nothing is synced to a disk.

    All may read it, whatever the umask: `edgekit service status` needs no root.

    Raises:
        OSError: it cannot be written.
    """
    temporary = folder / f".{STATUS_FILE}.new"
    temporary.write_bytes(msgspec.json.encode(status))
    temporary.chmod(0o644)
    temporary.replace(folder / STATUS_FILE)


def read_status(folder: Path) -> Status | None:
    """The status in a runtime directory; None where there is none, or it cannot be read.

    The folder belongs to the service's account: root must not be led elsewhere, nor be kept.
    """
    try:
        return msgspec.json.decode(read_bounded(folder / STATUS_FILE, _STATUS_LIMIT), type=Status)
    # Bytes that are no UTF-8 are a ValueError; msgspec's own errors are not.
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
