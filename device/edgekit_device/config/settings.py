"""What can be set: one schema for the configuration file, the command line and the documentation.

A key `x` of the file is the option `--x`; a key `y` of its section `[x]` is the option `--x-y`.
"""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from edgekit.model.decision import DecisionOverrides
from edgekit.model.foreign import Channels, Hints, Normalized, Softmax
from edgekit.redaction import MARK
from edgekit.settings import Section
from edgekit.vision.view import ViewSettings
from edgekit_device.config.secrets import login

PictureSize = Literal["off", "small", "full"]


class CameraSettings(Section, frozen=True):
    """What to ask a camera for; it may give something near that."""

    width: Annotated[int, Meta(ge=16, le=8192, description="Width of frames, in pixels.")] = 640
    height: Annotated[int, Meta(ge=16, le=8192, description="Height of frames, in pixels.")] = 480
    fps: (
        Annotated[
            float,
            Meta(gt=0, le=240, description="Frames per second; the camera's own choice if unset."),
        ]
        | None
    ) = None
    pixel_format: Annotated[
        str,
        Meta(pattern="^[A-Za-z0-9 ]{4}$",
             description="Four letters, for v4l2: MJPG or YUYV, say; the driver's own if unset."),
    ] | None = None  # fmt: skip
    timeout: Annotated[
        float,
        Meta(gt=0, description="Seconds without a frame after which a camera is opened again."),
    ] = 5.0


class MqttSettings(Section, frozen=True):
    """An MQTT broker to publish to."""

    host: (
        Annotated[
            str,
            Meta(description="Name or address of the broker; nothing is published if unset."),
        ]
        | None
    ) = None
    port: (
        Annotated[int, Meta(ge=1, le=65535, description="1883, or 8883 with TLS, if unset.")] | None
    ) = None
    tls: Annotated[bool, Meta(description="Encrypt, and check the broker's certificate.")] = False
    ca_file: (
        Annotated[Path, Meta(description="Certificates to trust; the system's if unset.")] | None
    ) = None
    cert_file: Annotated[Path, Meta(description="Our own certificate.")] | None = None
    key_file: Annotated[Path, Meta(description="Its private key.")] | None = None
    user: Annotated[str, Meta(description="User name.")] | None = None
    password_file: (
        Annotated[
            Path,
            Meta(
                description="File with the password; the systemd credential mqtt-password if unset."
            ),
        ]
        | None
    ) = None
    qos: Annotated[int, Meta(ge=0, le=2, description="Quality of service.")] = 1
    prefix: Annotated[
        str, Meta(pattern="^[^+#]+$", description="Topics are PREFIX/NAME/state and so on.")
    ] = "edgekit"
    discovery: Annotated[
        str,
        Meta(pattern="^[^+#]*$",
             description="Home Assistant's discovery prefix; empty to announce nothing."),
    ] = "homeassistant"  # fmt: skip
    give_up: Annotated[
        float,
        Meta(ge=0, description="Seconds without the broker after which the program ends with exit "
             "code 12, to be started afresh; 0: never."),
    ] = 3600.0  # fmt: skip

    def __post_init__(self) -> None:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key-file is set without cert-file")
        if not self.tls and (self.ca_file or self.cert_file):
            raise ValueError("certificates are set without tls = true")
        if self.password_file is not None and self.user is None:
            raise ValueError("password-file is set without user")


class HttpSettings(Section, frozen=True):
    """A live page, metrics and a JSON interface."""

    listen: (
        Annotated[str, Meta(description="HOST:PORT to serve on, 127.0.0.1:8080 say; off if unset.")]
        | None
    ) = None
    token_file: Annotated[
        Path,
        Meta(description="File with the token that clients must show; the systemd credential "
             "http-token if unset. Needed unless HOST is this machine alone."),
    ] | None = None  # fmt: skip
    viewers: Annotated[int, Meta(ge=1, le=100, description="Live pictures served at once.")] = 4
    picture_fps: Annotated[
        float, Meta(gt=0, le=60, description="Most pictures per second for each viewer.")
    ] = 10.0

    def __post_init__(self) -> None:
        if self.listen is not None:
            self.address()

    def address(self) -> tuple[str, int]:
        """Host and port of `listen`.

        Raises:
            ValueError: it is not HOST:PORT.
        """
        host, colon, port = (self.listen or "").rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"listen is HOST:PORT, like 127.0.0.1:8080, not {self.listen!r}")
        return host.removeprefix("[").removesuffix("]"), int(port)

    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        host = self.address()[0]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class WebhookSettings(Section, frozen=True):
    """Where events are POSTed to, as JSON."""

    url: (
        Annotated[
            str,
            Meta(pattern="^https?://.+", description="An http or https address; off if unset."),
        ]
        | None
    ) = None
    token_file: Annotated[
        Path,
        Meta(description="File with a token to send as 'Authorization: Bearer'; the systemd "
             "credential webhook-token if unset."),
    ] | None = None  # fmt: skip
    timeout: Annotated[float, Meta(gt=0, description="Seconds for each try.")] = 5.0
    tries: Annotated[int, Meta(ge=1, le=20, description="Tries before an event is given up.")] = 5
    picture: Annotated[
        Literal["none", "multipart", "base64"],
        Meta(description="How the picture goes with an event that has one: as a part of a "
             "multipart form, or in the JSON, as base64."),
    ] = "none"  # fmt: skip

    def __post_init__(self) -> None:
        if MARK in (self.url or ""):
            raise ValueError(f"url has {MARK} where a secret was hidden; write the secret there")


class PictureSettings(Section, frozen=True):
    """Pictures that leave the device with each change of the label."""

    size: Annotated[
        PictureSize,
        Meta(description="Off: no picture of an event leaves the device; small: at most 320 pixels "
             "wide and high; full: as the camera gives it."),
    ] = "off"  # fmt: skip


class HistorySettings(Section, frozen=True):
    """Events and their pictures, kept on the device's own disk."""

    folder: (
        Annotated[Path, Meta(description="Where they are kept; nothing is written if unset.")]
        | None
    ) = None
    days: Annotated[int, Meta(ge=1, le=3650, description="Days for which they are kept.")] = 30
    megabytes: Annotated[
        int, Meta(ge=10, description="What they may take in all, in MB; the oldest go first.")
    ] = 500
    pictures: Annotated[
        PictureSize, Meta(description="Which pictures are kept, without marks.")
    ] = "full"


class ControlSettings(Section, frozen=True):
    """Who may pause the daemon, exchange its model, record and so on."""

    http: Annotated[
        bool, Meta(description="Whoever shows the token of [http], which is needed for this.")
    ] = False
    mqtt: Annotated[
        bool,
        Meta(description="Whoever the broker lets publish to PREFIX/NAME/command; the broker must "
             "know its clients, by `user` or `cert-file` in [mqtt]."),
    ] = False  # fmt: skip


class HealthSettings(Section, frozen=True):
    """When it is well, and how often it says so."""

    interval: Annotated[float, Meta(gt=0, description="Seconds between health messages.")] = 30.0
    stall_after: Annotated[
        float,
        Meta(gt=0, description="Seconds without a frame or an answer after which it counts as "
             "stalled and the watchdog is no longer fed."),
    ] = 10.0  # fmt: skip
    drift: Annotated[
        bool,
        Meta(description="Tell when pictures and answers are no longer like those that the model "
             "was converted with."),
    ] = True  # fmt: skip


class RecoverySettings(Section, frozen=True):
    """How long to try by itself."""

    camera: Annotated[
        float, Meta(ge=0, description="Seconds of opening a camera again before exit code 10.")
    ] = 40.0
    delegate: Annotated[
        float, Meta(ge=0, description="Seconds of loading a delegate again before exit code 11, or "
             "before the CPU takes over."),
    ] = 20.0  # fmt: skip
    inference_timeout: Annotated[
        float, Meta(gt=0, description="Seconds after which an inference counts as hung.")
    ] = 10.0


class Settings(Section, frozen=True):
    """Everything that can be set."""

    model: (
        Annotated[Path, Meta(description="Model file to run; loaded anew when it is replaced.")]
        | None
    ) = None
    source: Annotated[
        str,
        Meta(description="Where frames come from: picamera2:, v4l2:/dev/video0, rtsp://…, "
             "http://…, a video file, an image folder, history:FOLDER for the pictures that a "
             "history keeps, or test: for a generated moving picture."),
    ] | None = None  # fmt: skip
    source_password_file: Annotated[
        Path,
        Meta(description="File with the password for the user that an address names "
             "(rtsp://user@host/…); the systemd credential source-password if unset."),
    ] | None = None  # fmt: skip
    name: Annotated[
        str,
        Meta(pattern="^[A-Za-z0-9_-]+$",
             description="Name of this device in topics and messages, of letters, digits, - and _; "
             "the host's if unset."),
    ] | None = None  # fmt: skip
    labels: (
        Annotated[
            Path,
            Meta(description="Class names, one a line or as trainers write them; by default those "
                 "inside the model file."),
        ]
        | None
    ) = None  # fmt: skip
    allowed_signers: (
        Annotated[
            Path,
            Meta(description="Run only models that one of these has signed, a file in the format "
                 "of OpenSSH's allowed_signers; any model, signed or not, if unset."),
        ]
        | None
    ) = None  # fmt: skip
    channels: Channels | None = None
    normalization: Normalized | None = None
    softmax: Softmax = False
    runtime: Annotated[
        Literal["auto", "litert", "tflite"],
        Meta(description="TFLite runtime; auto takes the one that was faster when the service was "
             "installed, and prefers ai-edge-litert (litert) to tflite-runtime elsewhere."),
    ] = "auto"  # fmt: skip
    threads: Annotated[
        int,
        Meta(ge=0, description="CPU threads for each inference; 0: one for each processor but one, "
             "three at most."),
    ] = 0  # fmt: skip
    delegate: Annotated[
        str,
        Meta(description="Accelerator: none, edgetpu, edgetpu:usb, edgetpu:pci, or the path of "
             "another delegate's library."),
    ] = "none"  # fmt: skip
    allow_cpu_fallback: Annotated[
        bool, Meta(description="Go on with the CPU, degraded, when the delegate fails for good.")
    ] = False
    cpu_model: (
        Annotated[
            Path,
            Meta(
                description="Model for the CPU then; by default the model's name without _edgetpu."
            ),
        ]
        | None
    ) = None
    top_k: Annotated[int, Meta(ge=1, description="Labels in each message, best first.")] = 3
    every_frame: Annotated[
        bool, Meta(description="Tell every frame, not only changes and heartbeats.")
    ] = False
    stdout: Annotated[bool, Meta(description="Print events as JSON lines.")] = True
    realtime: Annotated[
        bool, Meta(description="Play a recording at its own speed, not as fast as possible.")
    ] = False
    max_frames: Annotated[int, Meta(ge=1, description="Stop after so many frames.")] | None = None
    camera: CameraSettings = CameraSettings()
    view: ViewSettings = ViewSettings()
    decision: DecisionOverrides = DecisionOverrides()
    mqtt: MqttSettings = MqttSettings()
    http: HttpSettings = HttpSettings()
    webhook: WebhookSettings = WebhookSettings()
    pictures: PictureSettings = PictureSettings()
    history: HistorySettings = HistorySettings()
    control: ControlSettings = ControlSettings()
    health: HealthSettings = HealthSettings()
    recovery: RecoverySettings = RecoverySettings()

    def __post_init__(self) -> None:
        if MARK in (self.source or ""):
            raise ValueError(f"source has {MARK} where a secret was hidden; write the secret there")
        if self.source_password_file is not None:
            user, password = login(self.source or "")
            if not user:
                raise ValueError("source-password-file is set, but source is no rtsp://user@host/…")
            if password:
                raise ValueError("source-password-file is set, and a password in source as well")
        if self.webhook.picture != "none" and self.pictures.size == "off":
            raise ValueError(
                f'webhook.picture is "{self.webhook.picture}", and pictures.size = "off" lets no '
                'picture go; set pictures.size = "small", or leave webhook.picture out'
            )
        if self.control.http and self.http.listen is None:
            raise ValueError("control.http is set, but http.listen is not")
        if self.control.mqtt and self.mqtt.host is None:
            raise ValueError("control.mqtt is set, but mqtt.host is not")
        if self.control.mqtt and self.mqtt.user is None and self.mqtt.cert_file is None:
            raise ValueError(
                "control.mqtt is set, and the broker cannot know its clients: set mqtt.user or "
                "mqtt.cert-file, and let the broker ask all for one"
            )
        self.hints()  # what is wrong with them shows here

    def hints(self) -> Hints:
        """What the user knows of a model without a manifest.

        Raises:
            ValueError: the normalization is none.
        """
        return Hints(channels=self.channels, normalization=self.normalization, softmax=self.softmax)

    @property
    def device_name(self) -> str:
        """`name`, or the host's name, with other characters than letters, digits and _ replaced."""
        host = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
        return self.name or host.strip("-") or "edgekit"
