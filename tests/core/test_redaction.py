"""Secrets of addresses do not leave the program, and everything else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.redaction import (
    MARK,
    address_name,
    has_password,
    redact,
    redact_address,
    redact_path,
)

# With ? or # in them, more is hidden. Whole, a password may hold whatever a keyboard has; in a text
# it ends with a blank or a quotation mark, as the address does.
_ANY = st.text(st.characters(codec="utf-8", exclude_categories=("C",),
                             exclude_characters="?#"), min_size=1)  # fmt: skip
_WORD = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"),
                              exclude_characters="'\"<>`?#"), min_size=1)  # fmt: skip
_HOSTS = st.sampled_from(["camera", "10.0.0.7", "camera.local:554", "[fe80::1]", "[fe80::1]:554"])
_SCHEMES = st.sampled_from(["rtsp://", "RTSPS://", "https://", "v4l2:rtsp://", "rtps://", "rtsp:/"])


@given(_SCHEMES, _WORD, _HOSTS)
def test_a_password_of_any_characters_is_hidden_in_any_text(
    scheme: str, secret: str, host: str
) -> None:
    text = redact(f"camera: no source at {scheme}admin:{secret}@{host}/live; name another")
    assert text == f"camera: no source at {scheme}{MARK}@{host}/live; name another"


@given(_ANY, _HOSTS)
def test_an_address_is_hidden_as_a_whole(secret: str, host: str) -> None:
    address = f"rtsp://admin:{secret}@{host}/live"
    assert redact_address(address) == f"rtsp://{MARK}@{host}/live"
    assert address_name(address) == f"rtsp://{host}/live"
    assert has_password(address)


@given(st.text(), st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=12),
       st.text())  # fmt: skip
def test_nothing_around_it_brings_a_password_out(before: str, secret: str, after: str) -> None:
    text = redact(f"{before} rtsp://admin:{secret}@camera/live {after}")
    assert secret not in text or secret in before + after


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no recording at rtsp:/u:p@h/x; name", "no recording at rtsp:/***@h/x; name"),
        ("no source at u:p@h/x", "no source at ***@h/x"),
        ("no source at u:p/w@h/x", "no source at ***@h/x"),
        ("'u:p@h/x' is no host", "'***@h/x' is no host"),
        ("u:p@w@[fe80::1]:554", "***@[fe80::1]:554"),
        ("(v4l2:u:p@h)", "(***@h)"),
        ("no camera at rtsp://u:p@h", "no camera at rtsp://***@h"),
        ("v4l2:rtsp://u:p@h/x", "v4l2:rtsp://***@h/x"),
        ("rtsp://u:p%40w@h/x", "rtsp://***@h/x"),
        ("url=rtsp%3A%2F%2Fu%3Ap%40h", "url=rtsp%3A%2F%2F***%40h"),
        ("https://h/video?user=a&pwd=b", "https://h/video?***"),
        ("https://h/hook?token=abc", "https://h/hook?***"),
        ("http://cam:80/video?user=a&pwd=p@ss/word", "http://***"),
        ("cam:80/video?user=a&pwd=p@ss/word x", "*** x"),
        ("http://cam/video#p@ss/word", "http://***"),
        ("rtsp://u:p?w@h/x", "rtsp://***"),
        ("u:p@h/x?token=abc", "***@h/x?token=***"),
        ("https://h/user=a&password=b", "https://h/?***"),
        ("https://token@h/x", "https://***@h/x"),
        ("GET /video?pwd=abc&x=1 failed", "GET /video?pwd=***&x=1 failed"),
        ("access_token=abc", "access_token=***"),
        ("9rtsp://u:p@h", "9rtsp://***@h"),
        ("ßrtsp://u:p@h", "ßrtsp://***@h"),
        ("x,u:p@h", "***@h"),
        ("two: rtsp://a:b@c, rtsp://d:e@f", "two: rtsp://***@c, rtsp://***@f"),
    ],
)
def test_what_may_be_secret_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "pi@gate   failed  ssh: connect to host gate port 22: No route to host",
        "ssh://pi@gate:22  done",
        "page     http://127.0.0.1:8080/, on this machine alone",
        "wget -P /tmp https://github.com/feranick/libedgetpu/releases/download/16.0TF2.19.1-1/x.deb",
        "module imx219, 3280x2464 (/base/soc/i2c0mux/i2c@1/imx219@10): picamera2:",
        "picamera2:/base/soc/i2c0mux/i2c@1/imx219@10",
        "v4l2:/dev/v4l/by-id/usb-046d_C920-video-index0 stalled: no frame for 5 s",
        "cannot reach the MQTT broker broker.local:1883: connection refused",
        "/etc/edgekit/edgekit.toml, line 3: mqtt.password-file: there is no such key",
        "write with --ssh-option KEY=VALUE, a file of token-file = x",
        "running · model 26388c83391b · 30.01 fps · 12:30:05",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://hooks.example/services/T0/B0/XYZ", "https://hooks.example/***"),
        ("http://u:p@h:8080/x?y=z", "http://h:8080/***"),
        ("https://h?token=x", "https://h/***"),
        ("https://h", "https://h/***"),
    ],
)
def test_the_path_of_a_webhook_is_a_secret(address: str, shown: str) -> None:
    assert redact_path(address) == shown


@pytest.mark.parametrize("source", ["clip.mp4", "photos/a=b", "test:", "v4l2:/dev/video0", "0"])
def test_a_source_that_is_no_address_is_shown_as_it_is(source: str) -> None:
    assert redact_address(source) == source
    assert not has_password(source)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("rtsp://admin@camera/live", False),
        ("rtsp://admin:p@camera/live", True),
        ("rtsp://admin:p/w@camera/live", True),
        ("rtsp://adm/in@camera", True),
        ("rtsp://camera/live?token=x", True),
        ("admin:p@camera", True),
        ("v4l2:rtsp://u:p@h", True),
    ],
)
def test_the_name_of_a_user_is_no_password(address: str, secret: bool) -> None:
    assert has_password(address) == secret


@pytest.mark.parametrize("piece", ["a", "a:", "a@", "%3A%2F", "a://", "!", "token=", "rtsp://u:"])
def test_an_endless_word_takes_no_time(piece: str) -> None:
    """Somebody else may send it: the daemon must not stand still."""
    assert redact(piece * 100_000) == "…"
    redact(f"{piece * (1000 // len(piece))} " * 4)
