"""What `edgekit push` does on a device, and that the documented line of sudoers allows no more."""

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from edgekit_device.service.layout import COMMAND
from edgekit_device.service.push import Connection, _judge, push

from tests.conftest import ROOT
from tests.device.service.conftest import Model, fake_command, sha

_SSH = '#!/bin/sh\nfor word; do last=$word; done\nexec sh -c "$last"\n'
_SUDO = '#!/bin/sh\n[ "$1" = -n ] || exit 9\nshift\necho "$@" >> LOG\nexec "$@"\n'
# Says what it was given; its status is that of an older edgekit.
_EDGEKIT = '#!/bin/sh\n[ "$2" = upgrade ] || exit 2\nsha256sum | cut -d" " -f1 >> LOG\n'


def _allowed() -> list[str]:
    """The words of the command that the line in the documentation allows, without a password."""
    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"echo 'deploy ALL=\(root\) NOPASSWD: (.*)'", page)
    return shlex.split(command)


def test_sudoers_allows_one_command_with_fixed_words() -> None:
    """Nothing in it stands for other words, and none is a path that the user could choose."""
    words = _allowed()
    assert words == [str(COMMAND), "service", "upgrade", "-"]
    # Wildcards match blanks and slashes as well: they would allow other options and any file.
    assert not set("".join(words)) & set("*?[]\\^$!,")


def test_a_push_runs_what_sudoers_allows_and_hands_the_model_over(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, programs = tmp_path / "log", tmp_path / "bin"
    for name, text in (("ssh", _SSH), ("sudo", _SUDO), ("edgekit", _EDGEKIT)):
        fake_command(programs, name, text.replace("LOG", str(log)))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    before = set(Path("/var/tmp").glob("edgekit.*"))
    edgekit = str(programs / "edgekit")
    outcome = Connection(edgekit=edgekit).push("pi", model("a").read_bytes(), sha(model("a")))
    assert outcome.done, outcome.text
    command, received = log.read_text().splitlines()
    assert command.split() == [edgekit, *_allowed()[1:]]
    assert received == sha(model("a"))
    assert set(Path("/var/tmp").glob("edgekit.*")) <= before
    # What arrived damaged never gets there.
    log.unlink()
    outcome = Connection(edgekit=edgekit).push("pi", b"half a model", sha(model("a")))
    assert (outcome.done, outcome.text) == (False, "the model arrived damaged")
    assert not log.exists()


def test_a_host_that_is_an_option_is_none(model: Model) -> None:
    done = CliRunner().invoke(push, ["--", "-oProxyCommand=x", str(model("a"))])
    assert done.exit_code == 2


@pytest.mark.parametrize("status", [b"", b"\xff", b'{"daemon": "\xff"}', b"[" * 100_000])
def test_a_device_that_says_anything_is_no_failure_here(status: bytes) -> None:
    outcome = _judge("pi", "upgraded", status, "00ff")
    assert (outcome.done, outcome.text.partition(";")[0]) == (True, "upgraded")
    assert "edgekit there is too old" in outcome.text
