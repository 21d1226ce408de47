"""Good inputs to begin with: small, and of every form that a reader knows."""

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import msgspec
import numpy as np
from edgekit_device.config.file import render
from edgekit_device.config.settings import Settings
from edgekit_device.health import Status

from edgekit.files import FileStamp
from edgekit.model.flatbuffer import metadata
from edgekit.model.metadata import ENTRY
from edgekit.offline.golden import Change, Golden
from tests.core.vision.png import chunk, png_of_size
from tests.device.sinks.samples import make_health

_HERE = Path(__file__).parent
# Of `tests.tiny.tiny_flatbuffer`, whose libraries need not be there.
MODELS = {path.name: path.read_bytes() for path in sorted((_HERE / "model").iterdir())}
FLATBUFFER = MODELS["uint8"]
# What the one that has TFLite Metadata says there.
DESCRIPTION = metadata(MODELS["described"], ENTRY) or b""
# No mutation makes it by chance.
SECRET = "Zq7-Kx9-Vw4"
GOLDEN = Golden(
    schema=1, recording="a.clip", recording_sha256="00", model="m.tflite", model_sha256="ff",
    decision={"smoothing": 5}, frames=9, changes=[Change(0, 0.0, "cat", 0.5)],
)  # fmt: skip


def join(*parts: bytes) -> bytes:
    """An input that is several; without any, what stands between them."""
    return b"\n\0--\0\n".join(parts) if parts else b"\n\0--\0\n"


def append_zip(*members: tuple[str, bytes]) -> bytes:
    """A good model with a zip behind it."""
    file = io.BytesIO(FLATBUFFER)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as files:
        for name, content in members:
            files.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return file.getvalue()


MANIFEST = msgspec.json.encode(
    {
        "schema": 2, "arch": "resnet18", "head": "Linear(512, 3)", "classes": 3,
        "geometry": {"height": 8, "width": 8, "crop": 0.875},
        "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "quantisation": {
            "recipe": "static_wi8_ai8", "ranges": "percentile-99.99", "equalised": True,
            "rounding": "error-feedback", "bias_corrected": False, "calibration": "data-free",
            "images": 40, "calibration_sha256": "ab12", "seed": 7,
        },
        "fidelity": {
            "pictures": "evaluation",
            "stages": [
                {"stage": "onnx", "images": 32, "agreement": 1.0, "top5_agreement": 1.0,
                 "kl": 0.001, "snr_db": 38.1, "top1": 0.9, "top1_interval": [0.8, 1.0],
                 "top5": 1.0},
            ],
        },
        "flatbuffer_sha256": hashlib.sha256(FLATBUFFER).hexdigest(), "weights": "w.pth",
        "weights_sha256": "00ff", "tools": {"torch": "2"},
        "feeding": {"verdict": "fits", "pictures": 9, "divergence": 0.1},
        "profile": {
            "answers": {"images": 9, "source": "evaluation", "figures": {"score": [*range(21)]}},
        },
    }
)  # fmt: skip


def archives() -> list[bytes]:
    """Zips as they are, and members of which one is made."""
    whole = append_zip(("labels.txt", b"red\ngreen\nblue\n"))[len(FLATBUFFER) :]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("labels.txt", "red\ngreen\nblue\n" * 9)
        files.writestr("other.txt", "x\n")
    return [
        whole,
        packed.getvalue(),
        join(b"labels.txt\nred\ngreen\nblue\n", b"edgekit.json\n" + MANIFEST),
        join(b"labelmap.txt\n0 red\n1 green\n2 blue\n", b"other.json\n{}"),
    ]


def weights() -> list[bytes]:
    """Safetensors, with and without words beside the tensors, and zips of others."""
    headers = (
        b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"classes":"[\\"a\\"]","epoch":"9"},'
        b'"x":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]}}',
    )
    safe = [struct.pack("<Q", len(one)) + one + bytes(8) for one in headers]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("a/arr_0.npy", b"")
    return [*safe, packed.getvalue()]


LABEL_FILES = [
    b"red\ngreen\nblue\n", b"0 red\n1 green\n2 blue", b"red,0\ngreen,1\nblue,2", b"id,name\n0,red",
    b'["red", "green"]', b'{"0": "red", "1": "green"}', b"['red', \"green\"]", b"{0: 'red'}",
    b'{"id2label": {"0": "red"}, "x": 1}', b'[["n01", "red"], ["n02", "green"]]',
    b"names:\n  - red\n  - green\n", b"nc: 2\nnames: ['red', 'green']\n", b"names:\n  0: red\n",
    b"- red\n- green\n", "rot\ngrün\n".encode("utf-16"), "\ufeffrot\r\ngrün\r\n".encode(),
    b"crane\ncrane\nunknown\nNone\n", b"a10\na2\n",
]  # fmt: skip

_HEADER = msgspec.json.encode(
    {
        "schema": 1, "created": "2026-01-02T03:04:05.678Z", "device": "door", "source": "test:",
        "model": "m.tflite", "model_sha256": "00ff", "runtime": "litert", "accelerator": "cpu",
        "geometry": {"height": 8, "width": 8, "crop": 0.5}, "decision": {"smoothing": 5},
        "versions": {"edgekit": "0"},
    }
)  # fmt: skip
_RECORD = (
    b'{"number":0,"time":0.5,"stretch":0,"input_sha256":"00","label":"cat","score":0.75,'
    b'"scores":[["cat",0.5],["dog",0.25]],"event":"change","crc32":CRC}'
)


def _pixels() -> np.ndarray:
    return np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3) * 4


def _encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, _pixels())[1])


def clips() -> list[bytes]:
    """Members, with good sums when they are put together; and the beginning of a clip as it is."""
    png = _encoded(".png")
    parts = [b"clip.json\n" + _HEADER, b"json\n" + _RECORD, b"a.png\n" + png]
    later = b"json\n" + _RECORD.replace(b'"time":0.5', b'"time":1.5').replace(b":0,", b":1,", 1)
    end = b'end.json\n{"frames":1}'
    from edgekit.offline.clip import _member

    return [
        join(*parts, end),
        join(*parts, later, b"b.png\n" + png),
        join(*parts[:2], b"a.png\n" + png_of_size(9000, 9000)),
        join(parts[0], end),
        _member("clip.json", _HEADER) + _member("000000000.json", _RECORD),
    ]


TRUTHS = [
    b"start,end,label\n0,1.5,cat\n61.5,3661,unknown\n",
    b"label, start, end\n\ncat, 0, 0:01.5\ndog, 1:01.5, 1:01:01\n",
    b"start_frame,end_frame,label\n0,5,cat\n5,9,dog\n",
    b'[{"start": 0, "end": 1.5, "label": "cat"}, {"start": "1:01.5", "end": 3661, "label": "dog"}]',
    b'["cat", "cat", null, "dog", "unknown"]',
    "start,end,label\r\n0,1,cat\r\n".encode("utf-16"),
]
TABLES = [
    b"file\tclass_index\na.png\t0\n1.png\t1\n",
    b"a.png\tcat\n1.png\tDOG\n",
    b"a.png\tCAT\n1.png\t12\n",
]


def pictures() -> list[bytes]:
    """Of every format whose header is read here."""
    exif = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
    jpeg, png = _encoded(".jpg"), _encoded(".png")
    app1 = b"Exif\0\0" + exif
    webp = _encoded(".webp")
    body = webp[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
    return [
        jpeg,
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + jpeg[2:],
        png,
        png[:33] + chunk(b"eXIf", exif) + png[33:],
        png_of_size(9000, 9000),
        webp,
        b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body,
        _encoded(".bmp"),
        _encoded(".tiff"),
        _encoded(".ppm"),
        b"P2 # grey\n2 2\n255\n1 2 3 4\n",
        b"P1\n2 2\n1 0 0 1\n",
    ]


MATRICES = [struct.pack("=9i", *(65536 * n for n in row), 1 << 30) for row in (
    (1, 0, 0, 0, 1, 0, 0, 0), (0, 1, 0, -1, 0, 0, 0, 0), (-1, 0, 0, 0, -1, 0, 0, 0)
)]  # fmt: skip
VIDEOS = [
    b"RIFF" + struct.pack("<I", 40) + b"AVI LIST" + bytes(32),
    struct.pack(">I", 16) + b"ftypisom" + bytes(4) + struct.pack(">I", 64) + b"mdat" + bytes(9),
    struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 99) + bytes(9),
    b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67\x01\0\0\0\0\0\0\x30" + bytes(40),
    b"G" + bytes(187) + b"G" + bytes(187) + b"G",
]


def _every_key() -> bytes:
    """A configuration with each key that has a default, and no comments."""
    lines = render(Settings()).splitlines()
    keys = (line.removeprefix("#") for line in lines if not line.startswith("# "))
    return "\n".join(key for key in keys if key and not key.endswith("=")).encode()


CONFIGS = [
    _every_key(),
    b'source = "rtsp://user@camera/live"\nmodel = "m.tflite"\nname = "porch"\n[mqtt]\nhost = "h"\n'
    b'prefix = "a/b"\nqos = 2\n[http]\nlisten = "[::1]:80"\n[webhook]\nurl = "https://h/x"\n',
    b'normalization = "0.5,0.5,0.5/0.2,0.2,0.2"\nchannels = "bgr"\n[decision]\nsmoothing = 3\n',
    b'mqtt.host = "h"\n[camera]\nfps = 1e3\n',
    b'[decision.labels."coffee mug"]\nenter = 0.8\n[decision.labels.x]\nignore = true\n',
    b"[decision]\nlabels = { mug = { leave = 0.1, hold = 2 } }\n",
]
STATES = [
    b'{"new":"00ff","old":"ff00"}',
    msgspec.json.encode(Status(7, make_health(), {"camera": "gone"}, "it is damaged")),
    msgspec.json.encode(Status(7, make_health(), {}, configuration=FileStamp("/x", 1, 2, 3))),
]
UNITS = [
    b"LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=7\n"
    b"NRestarts=1\nResult=success\nExecMainStatus=0\nActiveEnterTimestamp=Mon 2026-01-05\n"
    b"WatchdogTimestampMonotonic=12345678\n",
    b"LoadState=loaded\nActiveState=failed\nResult=signal\nExecMainStatus=9\nMainPID=0\n",
    b"Result=exit-code\nExecMainStatus=10\n",
]
ANSWERS = [
    b'{"unit":{},"daemon":{"health":{"state":"running","model_sha256":"00ff","problems":[]}}}',
    b'{"daemon":{"health":{"state":"degraded","model_sha256":"00ff","problems":["a","b"]}}}',
    b'{"unit":{}}',
    b"edgekit: no such command\n",
]
RETAINED = [
    b'{"ts":"2026-11-24T15:00:00Z","state":"running","problems":["a"],"model_sha256":"00ff",'
    b'"frame_age_s":0.5,"drift":{"since":"x","signs":[{"figure":"x","text":"darker"}],"advice":"x"}}',
    b'{"ts":"2026-11-24T15:00:00Z","label":"mug","score":0.5}',
    b'{"host":"pi","address":"192.168.1.7","health_interval_s":30.0,"page":"http://pi:8080"}',
]


def controls() -> list[bytes]:
    """Messages, each behind its length."""
    messages = (
        b'{"refusal":"it records already"}', b'{"refusal":null}',
        b'{"on":["change","signal"],"ring":2.5,"after":1,"max_bytes":9,"max_seconds":1.5}', b"{}",
    )  # fmt: skip
    framed = [struct.pack("!I", len(one)) + one for one in messages]
    return [framed[0] + framed[2], framed[1] + framed[3]]


RETRIES = [b"120", b" 3 ", b"Wed, 21 Oct 2026 07:28:00 GMT", b"Sun Nov  6 08:49:37 1994", b""]
ADDRESSES = [
    b"https://h/x", b"v4l2:/dev/video0", b"0", b"rtsp://u:p@10.0.0.7:554/live?x=1", b"https://[fe80::1]:80/a#b",
    b"picamera2:", b"http://user@host", "https://h\u00f6st/x".encode(),
]  # fmt: skip
REQUESTS = [
    b"GET\n/\nHost: localhost:80\n\n",
    b"GET\n/?token=guess\nHost: [::1]:80\nCookie: edgekit-80=abc\n\n",
    b"POST\n/login\nHost: 127.0.0.1\n\ntoken=guess",
    b"GET\n/healthz\nHost: evil.example\nAuthorization: Bearer guess\n\n",
]
LINES = [b"one line", "zwei \u2028 Zeilen\r\n\x1b[2J\u202e".encode(), b"\xff\xfe\n\n last \n", b""]
TEXTS = [
    b"camera: no source at\nadmin\np@w/x?\n; name another",
    b"v4l2:\nu\n:\n",
    b"GET /video?pwd=\nhttp://a:b@c\n%40\n&x=1",
    "\u00df,\n\n\u00e4\n".encode() + zlib.compress(b"")[:0],
]
