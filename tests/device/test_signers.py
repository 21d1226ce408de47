"""Which models may run on a device."""

import os
from pathlib import Path

import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.signers import allowed_signers, check_signer, missing_for_checks

from edgekit.errors import ConfigurationError, SignatureError
from edgekit.model.container import read_model
from tests.signing import NAME, NEEDS_SSH_KEYGEN, KeyPair
from tests.tiny import tiny_model


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A file that names somebody."""
    path = tmp_path / "keys" / "allowed"
    path.parent.mkdir(mode=0o755)
    path.write_text("a@example.com ssh-ed25519 AAAA\n")
    path.chmod(0o644)
    return path


def _settings(allowed: Path) -> Settings:
    return Settings(allowed_signers=allowed)


@NEEDS_SSH_KEYGEN
def test_a_model_runs_when_somebody_signed_it_who_may(tmp_path: Path) -> None:
    key, other = KeyPair.make(tmp_path), KeyPair.make(tmp_path, "other")
    signed = read_model(key.signed(tmp_path / "signed.tflite"))
    unsigned = read_model(tiny_model(tmp_path / "unsigned.tflite"))
    assert check_signer(unsigned, Settings()) is None
    assert str(check_signer(signed, Settings())) == f"{key.fingerprint}, not checked"
    settings = _settings(key.allowed(tmp_path / "allowed"))
    assert str(check_signer(signed, settings)) == f"{NAME}, {key.fingerprint}"
    with pytest.raises(SignatureError, match="is not signed"):
        check_signer(unsigned, settings)
    other.allowed(tmp_path / "allowed")
    with pytest.raises(SignatureError, match="does not vouch"):
        check_signer(signed, settings)


def test_without_the_setting_no_program_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert check_signer(read_model(tiny_model(tmp_path / "m.tflite")), Settings()) is None


def test_keys_that_nobody_else_may_write_are_read(allowed: Path) -> None:
    found = allowed_signers(_settings(allowed))
    assert found is not None
    assert found.content == allowed.read_bytes()


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o646])
def test_keys_that_others_may_write_are_refused(allowed: Path, mode: int) -> None:
    allowed.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"sudo chmod go-w {allowed}$"):
        allowed_signers(_settings(allowed))


def test_a_folder_that_others_may_write_is_refused(allowed: Path) -> None:
    allowed.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"may write to {allowed.parent};"):
        allowed_signers(_settings(allowed))


def test_a_link_is_looked_at_where_it_lies_and_where_it_leads(
    allowed: Path, tmp_path: Path
) -> None:
    link = tmp_path / "open" / "link"
    link.parent.mkdir()
    link.symlink_to(allowed)
    assert allowed_signers(_settings(link))
    allowed.chmod(0o666)
    with pytest.raises(ConfigurationError, match="could be changed by others"):
        allowed_signers(_settings(link))
    allowed.chmod(0o644)
    link.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"may write to {link.parent};"):
        allowed_signers(_settings(link))


@pytest.mark.skipif(os.geteuid() != 0, reason="a file is given away by root alone")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_keys_of_somebody_else_are_refused(allowed: Path, which: str) -> None:
    os.chown(allowed if which == "file" else allowed.parent, 1234, 0)
    with pytest.raises(ConfigurationError, match="could be changed by others"):
        allowed_signers(_settings(allowed))


@pytest.mark.skipif(os.geteuid() != 0, reason="a file is given to another group by root alone")
def test_a_group_that_may_write_is_one_of_others(allowed: Path) -> None:
    allowed.chmod(0o664)
    assert allowed_signers(_settings(allowed))  # root's own
    os.chown(allowed, 0, 1234)
    with pytest.raises(ConfigurationError, match="could be changed by others"):
        allowed_signers(_settings(allowed))


def test_the_keys_of_an_image_are_those_below_its_root(tmp_path: Path) -> None:
    image = tmp_path / "open" / "image"
    (image / "etc").mkdir(parents=True)
    (image / "etc/keys").write_text("a@example.com ssh-ed25519 AAAA\n")
    # Above the image is another machine.
    image.parent.chmod(0o777)
    settings = _settings(Path("/etc/keys"))
    assert allowed_signers(settings, image)
    with pytest.raises(ConfigurationError, match="No such file"):
        allowed_signers(settings, tmp_path)
    (image / "etc").chmod(0o777)
    with pytest.raises(ConfigurationError, match="could be changed by others"):
        allowed_signers(settings, image)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({}, "openssh-client"),
        ({"usr/bin/ssh-keygen": ""}, "libnss-systemd"),
        ({"usr/bin/ssh-keygen": "", "etc/nsswitch.conf": "passwd: files\n"}, "libnss-systemd"),
        ({"usr/bin/ssh-keygen": "", "etc/nsswitch.conf": "passwd:  files systemd\n"}, None),
        ({"usr/bin/ssh-keygen": "", "etc/nsswitch.conf": "group: systemd\n"}, "libnss-systemd"),
    ],
)
def test_what_a_service_lacks_is_named(
    tmp_path: Path, files: dict[str, str], missing: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = missing_for_checks(tmp_path)
    assert (found and found[1]) == (missing and f"sudo apt install {missing}")
