"""The configuration file: strict, its errors name key and line, and every key is an option."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from edgekit_device.config import file as file_module
from edgekit_device.config.file import ConfigurationFile, load, render, shown
from edgekit_device.config.secrets import read_secret, secret_file, with_password
from edgekit_device.config.settings import MqttSettings, Settings, WebhookSettings
from edgekit_device.daemon.cli import run
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import ConfigurationError
from edgekit.files import FileStamp
from edgekit.inference.runtimes import choices
from edgekit.model.decision import DecisionOverrides, LabelOverrides
from edgekit.settings import keys
from tests.conftest import ROOT

EXAMPLE = ROOT / "systemd" / "edgekit.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "edgekit.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'threads = 2\ntop-k = 5\n[mqtt]\nhost = "a"\nqos = 2\n')
    settings = load(path, {"threads": 3, "mqtt.host": "b"})
    assert (settings.threads, settings.top_k) == (3, 5)
    assert (settings.mqtt.host, settings.mqtt.qos) == ("b", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mqtt]\n\nprot = 3\n", "line 3: mqtt.prot: there is no such key; did you mean mqtt.port"),
        ("port = 3", "line 1: port: there is no such key; did you mean mqtt.port"),
        ("[mqt]\nport = 3", "line 1: mqt: there is no such key; see"),
        ("[mqtt]\nqoss = 3", "line 2: mqtt.qoss: there is no such key; did you mean mqtt.qos?"),
        ("zzz = 3", "line 1: zzz: there is no such key; see edgekit run --print-config"),
        ('[mqtt]\nport = "x"', "line 2: mqtt.port: expected whole number, got string"),
        ("mqtt.port = 0", "line 1: mqtt.port: expected whole number >= 1"),
        ("threads = -1", "line 1: threads: expected whole number >= 0"),
        ("threads = true", "line 1: threads: expected whole number, got true or false"),
        ("mqtt = 3", "line 1: mqtt: expected section, got whole number"),
        ("model = 3", "line 1: model: expected string, got whole number"),
        ('runtime = "x"', "One of auto, litert, tflite"),
        ('[camera]\npixel-format = "MJ"', "line 2: camera.pixel-format: this value will not do"),
        ("[decision]\nenter = 0.3\nleave = 0.5", "decision: leave (0.5) is above enter (0.3)"),
        ('[http]\nlisten = "8080"', "http: listen is HOST:PORT"),
        ('[mqtt]\nkey-file = "k"', "mqtt: key-file is set without cert-file"),
        ("[control]\nhttp = true", "control.http is set, but http.listen is not"),
        ("[control]\nmqtt = true", "control.mqtt is set, but mqtt.host is not"),
        ('[mqtt]\nhost = "b"\n[control]\nmqtt = true', "set mqtt.user or mqtt.cert-file"),
        ('[mqtt]\nca-file = "c"', "mqtt: certificates are set without tls = true"),
        ('[mqtt]\npassword-file = "p"', "mqtt: password-file is set without user"),
        ("[mqtt", "is not valid TOML"),
        ("a = " + "[" * 3000 + "]" * 3000, "nests values too deeply"),
        ("threads = " + "1" * 10_000, "holds a number with too many digits"),
        ("threads = " + "1" * 400, "line 1: threads: expected a number of at most 2147483647"),
        ("top-k = 2147483648", "line 1: top-k: expected a number of at most 2147483647"),
        ("[camera]\ntimeout = inf", "line 2: camera.timeout: expected a number of at most"),
        ('model = "a\\u0000b"', "line 1: model: has a control character"),
        ('source = "a\\nWATCHDOG=1"', "line 1: source: has a control character"),
        ('name = "pi\\n"', "line 1: name: has a control character"),
        ('"a\\nb" = 1', "unknown field a b"),
        ('source = "rtsp://***@camera/live"', "source has *** where a secret was hidden"),
        ('[webhook]\nurl = "https://camera/***"', "url has *** where a secret was hidden"),
        ('source-password-file = "p"', "but source is no rtsp://user@host"),
        (
            'source = "rtsp://camera/a@b"\nsource-password-file = "p"',
            "but source is no rtsp://user",
        ),
        (
            'source = "rtsp://u:p@camera/"\nsource-password-file = "p"',
            "a password in source as well",
        ),
        ("[mqtt]\nqos = 1\n[mqtt]\nqos = 2", "is not valid TOML"),
        ('"a.b" = 1', 'line 1: "a.b": there is no such key'),
        ("source.x = 1", "line 1: source: expected string, got section"),
    ],
)
def test_a_wrong_file_is_one_line_with_key_and_place(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


MUG = "[decision.labels.mug]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MUG + '\nenter = "a"', "3: decision.labels.mug.enter: expected number, got string"),
        (MUG + "enter = 2", "2: decision.labels.mug.enter: expected number <= 1.0"),
        (MUG + "enter = nan", "2: decision.labels.mug.enter: expected number >= 0.0"),
        (MUG + "hold = inf", "2: decision.labels.mug.hold: expected a number of at most 2147"),
        (MUG + "hold = 1e300", "2: decision.labels.mug.hold: expected a number of at most 2147"),
        (MUG + "ignore = 1", "2: decision.labels.mug.ignore: expected true or false, got whole"),
        (MUG + "entr = 0.8", "2: decision.labels.mug.entr: there is no such key; did you mean "
         "decision.labels.mug.enter?"),
        (MUG + "smoothing = 3", "2: decision.labels.mug.smoothing: there is no such key; see "),
        (MUG + "ignore = true\nhold = 1", "1: decision.labels.mug: hold is set for a label that"),
        (MUG + "enter = 0.3\nleave = 0.4", "1: decision.labels.mug: leave (0.4) is above enter"),
        ("[decision]\nenter = 0.3\n" + MUG + "leave = 0.4", "1: decision: labels.mug: leave (0."),
        ("[decision]\nlabels.'a.b'.leave = -1", '2: decision.labels."a.b".leave: expected number'),
        ("[decision]\nlabels = { x = { leave = -1 } }", "2: decision.labels.x.leave: expected n"),
        ("[decision.labels]\nmug = { leave = -1 }", "2: decision.labels.mug.leave: expected num"),
        ("decision . labels . mug . leave = -1", "1: decision.labels.mug.leave: expected number"),
        ('[ decision.labels . "m\\u0075g" ] # x\nleave = -1', "2: decision.labels.mug.leave: exp"),
        ("[decision.labels]\nmug = 0.8", "2: decision.labels.mug: expected section, got number"),
        ("[decision]\nlabels = 3", "2: decision.labels: expected section, got whole number"),
        ("[decision.label.x]\nenter = 1", "1: decision.label: there is no such key; did you mean "
         "decision.labels?"),
        ("[decision.labels.a.b]\nenter = 1", "1: decision.labels.a.b: there is no such key; see "),
        ("[decision.mug]\nenter = 1", "1: decision.mug: there is no such key; see edgekit run"),
        ("[labels.mug]\nenter = 1", "1: labels: expected string, got section"),
        ('[decision.labels."`]"]\nenter = 3', '2: decision.labels."`]".enter: expected number <'),
        ('[decision.labels."[...]"]\nenter = 3', '2: decision.labels."[...]".enter: expected nu'),
    ],
)  # fmt: skip
def test_what_is_wrong_about_a_label_is_named_with_key_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, text), {})
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_labels_may_be_written_in_every_way_that_toml_has(tmp_path: Path) -> None:
    wanted = {"coffee mug": LabelOverrides(enter=0.8), "x": LabelOverrides(ignore=True)}
    for text in (
        '[decision.labels."coffee mug"]\nenter = 0.8\n[decision.labels.x]\nignore = true\n',
        "[decision.labels]\n'coffee mug' = { enter = 0.8 }\nx.ignore = true\n",
        'decision = { labels = { "coffee mug" = { enter = 0.8 }, x = { ignore = true } } }',
    ):
        assert load(written(tmp_path, text), {}).decision.labels == wanted


label_overrides = st.builds(
    LabelOverrides,
    enter=st.none() | st.floats(0.5, 1),
    leave=st.none() | st.floats(0, 0.5),
    hold=st.none() | st.floats(0, 1e6),
    ignore=st.none() | st.just(False),
) | st.just(LabelOverrides(ignore=True))


@given(st.dictionaries(st.text(max_size=8), label_overrides, max_size=4))
def test_labels_that_are_printed_are_read_again(labels: dict[str, LabelOverrides]) -> None:
    settings = Settings(decision=DecisionOverrides(enter=0.5, leave=0.5, labels=labels))
    assert msgspec.convert(tomllib.loads(render(settings)), Settings) == settings


def test_what_is_printed_of_labels_is_a_section_each(tmp_path: Path) -> None:
    labels = {"a b": LabelOverrides(enter=0.75, hold=2), "x": LabelOverrides()}
    settings = Settings(decision=DecisionOverrides(labels=labels), mqtt=MqttSettings(host="h"))
    text = render(settings)
    assert '\n\n[decision.labels."a b"]\nenter = 0.75\nhold = 2\n\n[decision.labels.x]\n' in text
    assert load(written(tmp_path, text), {}) == settings


def test_an_option_without_a_file_is_explained_too() -> None:
    with pytest.raises(ConfigurationError, match=r"^mqtt: key-file is set without"):
        load(None, {"mqtt.key-file": Path("k")})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the configuration"):
        load(tmp_path / "no.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(tmp_path / "binary.toml", {})


def test_the_example_shows_every_key_and_changes_nothing() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text == render(Settings()), "run `make docs`"
    assert load(EXAMPLE, {}) == Settings()
    # What is behind a # is valid as well.
    shown = re.sub(r"(?m)^#(?=\S)", "", text)
    shown = re.sub(r"(?m)^\S+ =$", "", shown)
    sections = tomllib.loads(shown)
    for key in keys(Settings):
        tree = sections.get(key.section, {}) if key.section else sections
        assert key.name in tree or key.default is None


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    settings = Settings(
        model=Path("/a b/c.tflite"), threads=2, mqtt=MqttSettings(host="h", user='a"\\ß')
    )
    assert load(written(tmp_path, render(settings)), {}) == settings


def test_what_is_shown_holds_no_secret_and_is_refused_when_it_is_read_again(
    tmp_path: Path,
) -> None:
    settings = Settings(
        source="rtsp://admin:se cret@camera/live?token=secret",
        webhook=WebhookSettings(url="https://hooks.example/services/secret"),
    )
    text = shown(settings)
    assert 'source = "rtsp://***@camera/live?***"' in text
    assert 'url = "https://hooks.example/***"' in text
    assert "secret" not in "".join(line for line in text.splitlines() if line[0:1] not in ("", "#"))
    with pytest.raises(ConfigurationError, match="where a secret was hidden; write the secret"):
        load(written(tmp_path, text), {})
    # What has no secret is shown as it is.
    plain = Settings(source="rtsp://camera/live", threads=2)
    assert shown(plain) == render(plain)


def test_the_command_shows_no_secret_either(tmp_path: Path) -> None:
    path = written(tmp_path, 'source = "rtsp://admin:hunter2@camera/live"\n')
    done = CliRunner().invoke(run, ["--config", str(path), "--print-config"])
    assert done.exit_code == 0
    assert "hunter2" not in done.output


def test_a_password_on_the_command_line_is_warned_of() -> None:
    done = CliRunner().invoke(run, ["--source", "rtsp://admin:hunter2@camera/", "--print-config"])
    assert "everybody on this machine can see the password in --source" in done.stderr
    assert "hunter2" not in done.output
    for harmless in ("rtsp://admin@camera/live", "rtsp://camera/live", "clip@1.mp4", "test:"):
        assert CliRunner().invoke(run, ["--source", harmless, "--print-config"]).stderr == ""


@pytest.mark.parametrize(
    ("address", "full"),
    [
        ("rtsp://admin@camera/live", "rtsp://admin:p%40s%3As%2F%20%C3%9F@camera/live"),
        ("rtsp://admin@[fe80::1]:554/", "rtsp://admin:p%40s%3As%2F%20%C3%9F@[fe80::1]:554/"),
        ("rtsp://admin@camera/a@b", "rtsp://admin:p%40s%3As%2F%20%C3%9F@camera/a@b"),
        ("rtsp://admin:own@camera/live", "rtsp://admin:own@camera/live"),
        ("rtsp://camera/a@b", "rtsp://camera/a@b"),
        ("http://camera/?mail=a@b", "http://camera/?mail=a@b"),
    ],
)
def test_the_password_of_a_camera_comes_from_a_file_or_a_credential(
    address: str, full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_password(address, None) == address
    (tmp_path / "source-password").write_text("p@s:s/ ß\n")
    assert with_password(address, tmp_path / "source-password") == full
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert with_password(address, None) == full


@given(st.text())
def test_any_text_survives(text: str) -> None:
    rendered = render(Settings(source=text))
    assert tomllib.loads(rendered)["source"] == text


def test_every_key_is_an_option_and_the_other_way_round() -> None:
    options = {name for p in run.params if isinstance(p, click.Option) for name in p.opts}
    assert options - {key.option for key in keys(Settings)} == {
        "--config",
        "--check",
        "--print-config",
    }
    assert {key.option for key in keys(Settings)} <= options


def test_every_key_is_described() -> None:
    for key in keys(Settings):
        assert (key.meta.description or "").endswith("."), key.path


def test_runtimes_are_those_that_there_are() -> None:
    (runtime,) = (key for key in keys(Settings) if key.path == "runtime")
    assert runtime.type.__args__ == choices()


def test_a_secret_comes_from_its_file_or_from_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert secret_file(Path("named"), "mqtt-password") == Path("named")
    assert secret_file(None, "mqtt-password") is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_file(None, "mqtt-password") is None
    (tmp_path / "mqtt-password").write_text("x")
    assert secret_file(None, "mqtt-password") == tmp_path / "mqtt-password"


class TestFilesThatNeverEnd:
    """A daemon reads them again while it works: none may keep it, or fill its memory."""

    @pytest.fixture(params=["pipe", "device", "folder", "long"])
    def file(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        elif request.param == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"#" * ((1 << 20) + 1))
        return path

    def test_a_configuration(self, file: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot read the configuration .*(?i:file)"):
            load(file, {})

    def test_a_secret(self, file: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot read the http-token in .*(?i:file)"):
            read_secret(file, "http-token")

    def test_links_are_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"s3cret\r\n")
        (tmp_path / "link").symlink_to(tmp_path / "secret")
        assert read_secret(tmp_path / "link", "http-token") == "s3cret"
        (tmp_path / "toml").symlink_to(written(tmp_path, "threads = 3\r\n"))
        assert load(tmp_path / "toml", {}).threads == 3


def test_what_is_written_while_a_file_is_read_is_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever compares must not take what came later for what was read."""
    path = tmp_path / "edgekit.toml"
    path.write_text("threads = 1\n")
    file, before = ConfigurationFile(path, {"top-k": 2}), FileStamp.of(path)
    real = file_module.load

    def load_and_write(*arguments: Any) -> Settings:
        settings = real(*arguments)
        path.write_text("threads = 20\n")
        return settings

    monkeypatch.setattr(file_module, "load", load_and_write)
    settings = file.load()
    assert (settings.threads, settings.top_k) == (1, 2)
    assert file.stamp == before != FileStamp.of(path)


def test_a_configuration_without_a_file_has_no_stamp() -> None:
    file = ConfigurationFile(None, {"threads": 3})
    assert file.load().threads == 3 and file.stamp is None
