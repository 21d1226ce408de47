"""A model is tried in a process of its own, whose end is no harm to who started it."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from edgekit_device import board, trial, trial_process
from edgekit_device.config.settings import Settings
from edgekit_device.trial import Limits, ahead, read_model_bytes, try_model
from edgekit_device.trial_protocol import LARGEST_OUTPUT, Job, Report

from edgekit.errors import LabelsError, ModelFileError, RuntimeUnavailableError, SettingsError
from edgekit.model.decision import DecisionOverrides, LabelOverrides
from edgekit.model.labels import LabelFile
from tests.tiny import tiny_model

PATH = Path("m.tflite")
ENOUGH = Limits(memory=64 << 20, seconds=60)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return tiny_model(tmp_path / "m.tflite").read_bytes()


def _try(
    content: bytes,
    labels: LabelFile | None = None,
    limits: Limits = ENOUGH,
    *,
    accelerated: bool = False,
    **settings: object,
) -> Report:
    chosen = Settings(**settings)  # type: ignore[arg-type]
    return try_model(PATH, content, labels, chosen, accelerated=accelerated, limits=limits)


@pytest.fixture
def misbehave(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the process run some Python in the place of the model, and nothing where it is ours."""

    def set_code(code: str) -> None:
        program = (
            "import ctypes, os, signal, socket, subprocess, sys, time\n"
            "from edgekit_device import trial_process as process\n"
            "real = process._answer\n"
            "def answer(job, *bytes_):\n"
            "    if job.path != 'm.tflite':\n"
            "        return real(job, *bytes_)\n"
            f"{textwrap.indent(code, '    ')}\n"
            "process._answer = answer\n"
            "process._main()\n"
        )
        monkeypatch.setattr(
            trial.child,
            "python_command",
            lambda module, *given: [sys.executable, "-c", program, *given],
        )

    return set_code


def test_a_model_that_answers_says_what_that_took(content: bytes) -> None:
    report = _try(content)
    assert report.refusal is None
    assert 0 < report.seconds < 60
    # Python, NumPy and a runtime, and not what the process that started it has.
    assert 30 << 20 < report.memory < 200 << 20


def test_a_good_model_is_measured_where_that_is_wanted(content: bytes) -> None:
    chosen = Settings()
    report = try_model(PATH, content, None, chosen, accelerated=False, threads=2, measured_s=1e-6)
    assert report.answer_ms
    assert _try(content).answer_ms is None


def test_it_is_tried_with_what_the_settings_say_of_it(tmp_path: Path) -> None:
    logits = tiny_model(tmp_path / "l.tflite", logits=True).read_bytes()
    with pytest.raises(ModelFileError, match=r"^m\.tflite answers no probabilities"):
        _try(logits)
    _try(logits, softmax=True)


def test_labels_that_do_not_fit_are_a_fault_of_the_labels(content: bytes) -> None:
    with pytest.raises(LabelsError, match=r"^l\.txt has 1 class names, but the model has 3"):
        _try(content, LabelFile(Path("l.txt"), b"one\n"))


@pytest.mark.parametrize("compiled", [False, True])
def test_decision_settings_that_do_not_fit_are_a_fault_of_the_settings(
    tmp_path: Path, compiled: bool
) -> None:
    model = tiny_model(tmp_path / "m.tflite", compiled=compiled).read_bytes()
    own = DecisionOverrides(labels={"rde": LabelOverrides(enter=0.7)})
    with pytest.raises(SettingsError, match=r"^decision.labels.rde: m.tflite has no.*mean red\?$"):
        _try(model, accelerated=True, decision=own)
    _try(model, LabelFile(Path("l.txt"), b"rde\nb\nc\n"), accelerated=True, decision=own)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ctypes.string_at(0)", r"crashes the TFLite runtime \(SIGSEGV\); convert it again"),
        ("os.abort()", r"crashes the TFLite runtime \(SIGABRT\); convert it again"),
        ("os.write(2, b'what(): std::bad_alloc'); os.abort()", "takes more than 64 MiB of memory"),
        ("bytearray(80 << 20)", "takes more than 64 MiB of memory"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "takes more than 64 MiB of memory, or than is fr"),
        ("1 / 0", r"gives no answer: ZeroDivisionError\(.*; convert it again"),
        ("answer(job, *bytes_)", r"gives no answer: RecursionError\(.*; convert it again"),
        ("os.write(2, b'odd\\nend'); os._exit(3)", "gives no answer: end; convert it again"),
        ("os._exit(0)", "gives no answer: "),
        ("raise ValueError('two\\nlines \\x1b[2J')", "gives no answer"),
    ],
)  # fmt: skip
def test_whatever_it_does_is_one_line_about_the_model(
    content: bytes, misbehave: Callable[[str], None], code: str, said: str
) -> None:
    misbehave(code)
    with pytest.raises(ModelFileError, match=rf"^m\.tflite {said}") as refused:
        _try(content)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1200


def test_what_is_not_installed_is_no_fault_of_the_model(
    content: bytes, misbehave: Callable[[str], None]
) -> None:
    misbehave("import a_module_that_is_not_there")
    said = r"^no model can be tried here: No module named 'a_module.*; install edgekit-device again"
    with pytest.raises(RuntimeUnavailableError, match=said):
        _try(content)


def test_a_runtime_may_say_as_much_as_it_likes(
    content: bytes, misbehave: Callable[[str], None]
) -> None:
    misbehave(
        "try:\n    os.write(2, b'x' * 10**5), os.write(2, b'x' * 10**5)\n"
        "except OSError:\n    pass\nreal(job, *bytes_)"
    )
    _try(content)


def test_one_that_hangs_is_ended(content: bytes, misbehave: Callable[[str], None]) -> None:
    misbehave("time.sleep(20)")
    with pytest.raises(ModelFileError, match=r"^m\.tflite gave no answer within 0\.5 s; take a"):
        _try(content, limits=Limits(64 << 20, 0.5))


@pytest.mark.parametrize(
    "code",
    [
        "os.fork()",
        "import threading; threading.Thread(target=print).start()",
        "open(os.memfd_create('x'), 'wb').write(bytes(10**6))",
        "open('/proc/self/oom_score_adj', 'w').write('-1000')",
        "subprocess.run(['true'])",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    ],
)
def test_what_it_could_abuse_is_out_of_its_reach(
    content: bytes, misbehave: Callable[[str], None], code: str
) -> None:
    if "priority" in code and os.geteuid() != 0:
        pytest.skip("only root has rights to give up")
    misbehave(code)
    with pytest.raises(
        ModelFileError,
        match=r"(unavailable|new thread|not permitted|Permission denied|File too large)",
    ):
        _try(content)


def test_it_gets_no_variable_in_which_a_secret_may_be(
    content: bytes, misbehave: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "EDGEKIT_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    misbehave("raise ValueError(sorted(os.environ))")
    with pytest.raises(ModelFileError) as refused:
        _try(content)
    found = set(str(refused.value).partition("[")[2].partition("]")[0].replace("'", "").split(", "))
    found -= {name for name in found if name.startswith("QT_")}  # OpenCV sets them
    assert found <= {
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
        "OPENBLAS_NUM_THREADS",
    }


def test_it_is_no_more_than_it_has_to_be(content: bytes, misbehave: Callable[[str], None]) -> None:
    misbehave(
        "raise ValueError(os.getuid(), os.getcwd(), os.nice(0) > 0, sys.argv[2:],\n"
        "                 signal.pthread_sigmask(signal.SIG_BLOCK, []) >= {2, 15})"
    )
    user = 65534 if os.geteuid() == 0 else os.getuid()
    with pytest.raises(ModelFileError, match=rf"\({user}, '/', True, \['auto'\], True\)"):
        _try(content)
    # Which of ours are blocked is as it was.
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_one_for_which_all_waits_gives_way_to_nobody(
    content: bytes, misbehave: Callable[[str], None]
) -> None:
    misbehave("raise ValueError(os.nice(0))")
    with pytest.raises(ModelFileError, match=rf"ValueError\({os.nice(0)}\)"):
        trial.try_model(PATH, content, None, Settings(), accelerated=False, urgent=True)


def test_limits_that_are_lower_already_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = {resource.RLIMIT_DATA: 1 << 20, resource.RLIMIT_NPROC: resource.RLIM_INFINITY}
    found: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (0, there.get(which, 1 << 60)))
    monkeypatch.setattr(resource, "setrlimit", found.__setitem__)
    for name in ("nice", "setgroups", "setgid", "setuid"):
        monkeypatch.setattr(trial_process.os, name, lambda _: None)
    monkeypatch.setattr(trial_process.Path, "write_text", lambda *_, **__: 0)
    monkeypatch.setattr(trial_process.ctypes, "CDLL", lambda _: SimpleNamespace(prctl=print))
    trial_process._confine(Job("m", 0, memory=64 << 20, parent=os.getppid()), 1 << 20)
    assert found[resource.RLIMIT_DATA] == (1 << 20, 1 << 20)
    assert found[resource.RLIMIT_NPROC] == (0, 0)
    assert found[resource.RLIMIT_FSIZE] == (LARGEST_OUTPUT, LARGEST_OUTPUT)


def test_it_does_not_outlive_who_started_it(tmp_path: Path, content: bytes) -> None:
    written = tmp_path / "pid"
    program = (
        "import os, sys, time\nfrom pathlib import Path\n"
        "from edgekit_device import trial\n"
        "from edgekit_device.config.settings import Settings\n"
        "hang = ('import os, time; from edgekit_device import trial_process as process\\n'\n"
        "        'process._answer = lambda job, *_: job.path == \"m\" and (\\n'\n"
        "        '    os.write(1, b\"hangs\"), time.sleep(600))\\n'\n"
        "        'process._main()')\n"
        "trial.child.python_command = lambda _, *given: [sys.executable, '-c', hang, *given]\n"
        "with trial.Trial() as one:\n"
        "    one.begin(Path('m'), b'model', None, Settings(), accelerated=False)\n"
        "    while b'hangs' not in os.pread(one._said.fileno(), 99, 0):\n"
        "        time.sleep(0.01)\n"
        f"    Path({str(written)!r}).write_text(str(one._process.pid))\n"
        "    one.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as starter:
        deadline = time.monotonic() + 60
        while not (written.exists() and written.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pid = int(written.read_text())
        starter.kill()
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_imported_from_the_current_folder(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = "from pathlib import Path\nPath(__file__).with_name('run').touch()\n"
    for name in ("msgspec.py", "numpy.py", "cv2.py"):
        (tmp_path / name).write_text(planted)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _try(content)
    assert not (tmp_path / "run").exists()


def test_that_no_runtime_works_is_no_fault_of_the_model(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(trial.child, "python_command", lambda *_: crash)
    with pytest.raises(RuntimeUnavailableError, match=r"\(SIGABRT\); see `edgekit doctor`"):
        _try(content)
    absent = (
        "from edgekit.inference.runtimes import RUNTIMES, Runtime; RUNTIMES.clear()\n"
        "from edgekit_device.trial_process import _main; _main()\n"
    )
    command = [sys.executable, "-c", absent]
    monkeypatch.setattr(trial.child, "python_command", lambda _, *given: [*command, *given])
    with pytest.raises(RuntimeUnavailableError, match=r"^no TFLite runtime can be loaded"):
        _try(content)


def test_that_no_process_can_be_started_is_said(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial.child, "python_command", lambda *_: ["/nowhere/python"])
    with pytest.raises(ModelFileError, match=r"^m\.tflite cannot be tried: No such file"):
        _try(content)


class TestAccelerator:
    """A model that runs on an accelerator, which the process does not have."""

    def test_one_that_the_cpu_cannot_run_is_read(self, tmp_path: Path) -> None:
        compiled = tiny_model(tmp_path / "c.tflite", compiled=True).read_bytes()
        with pytest.raises(ModelFileError, match="gives no answer: the model was compiled for an"):
            _try(compiled)
        _try(compiled, accelerated=True)
        with pytest.raises(ModelFileError, match="is not a usable model"):
            _try(compiled[:300], accelerated=True)
        with pytest.raises(LabelsError, match="1 class names"):
            _try(compiled, LabelFile(Path("l.txt"), b"one\n"), accelerated=True)

    def test_one_that_the_cpu_can_run_answers_there(self, tmp_path: Path) -> None:
        logits = tiny_model(tmp_path / "l.tflite", logits=True).read_bytes()
        with pytest.raises(ModelFileError, match="answers no probabilities"):
            _try(logits, accelerated=True)


class TestAhead:
    """A process that is started before there is a model to try."""

    def test_it_tries_what_it_gets_later(self, content: bytes) -> None:
        with ahead("auto") as one:
            assert one is not None
            one.begin(PATH, content, None, Settings(), accelerated=False)
            assert one.wait().refusal is None

    def test_it_ends_where_nothing_is_to_be_tried(self) -> None:
        with ahead("auto") as one:
            assert one is not None
            process = one._process
            assert process.poll() is None
        assert process.returncode == -signal.SIGKILL

    def test_it_ends_where_its_starter_has_ended(self) -> None:
        program = (
            "import os; from edgekit_device import trial\n"
            "print(trial.Trial()._process.pid, flush=True); os._exit(0)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        deadline = time.monotonic() + 60
        status = Path(f"/proc/{done.stdout.strip()}/stat")
        while status.exists() and ") Z" not in status.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_that_there_is_none_is_no_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trial.child, "python_command", lambda *_: ["/nowhere/python"])
        with ahead("auto") as one:
            assert one is None

    def test_one_that_has_died_meanwhile_is_no_fault_of_the_model(self, content: bytes) -> None:
        with ahead("auto") as one:
            assert one is not None
            one._process.kill()
            one.begin(PATH, content, None, Settings(), accelerated=False)
            with pytest.raises(RuntimeUnavailableError, match=r"\(SIGKILL\); see `edgekit doctor`"):
                one.wait()

    @pytest.mark.parametrize("runtime", ["litert", "tflite"])
    def test_it_tries_with_another_runtime_than_it_has_loaded(
        self, content: bytes, runtime: str
    ) -> None:
        pytest.importorskip({"litert": "ai_edge_litert", "tflite": "tflite_runtime"}[runtime])
        with ahead("auto") as one:
            assert one is not None
            one.begin(PATH, content, None, Settings(runtime=runtime), accelerated=False)
            assert one.wait().refusal is None

    def test_one_without_a_manifest_is_tried_by_who_does_not_expect_it(
        self, tmp_path: Path
    ) -> None:
        logits = tiny_model(tmp_path / "l.tflite", logits=True).read_bytes()
        settings = Settings(softmax=True)
        with ahead("auto") as one:
            assert one is not None
            one.begin(PATH, logits, None, settings, accelerated=False, foreign=False)
            assert one.wait().refusal is None


class TestReading:
    """Files that somebody else may have put there."""

    def test_what_is_no_file_keeps_nobody(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "folder").mkdir()
        for path in (*(tmp_path / name for name in ("pipe", "loop", "folder", "none")),
                     Path("/dev/zero")):  # fmt: skip
            with pytest.raises(ModelFileError, match=f"^cannot read the model {path}: "):
                read_model_bytes(path)
            with pytest.raises(LabelsError, match=f"the labels {path}( is a device or a pipe|: )"):
                LabelFile.read(path)

    def test_a_link_to_a_file_is_that_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"bytes")
        (tmp_path / "link").symlink_to("file")
        assert read_model_bytes(tmp_path / "link") == b"bytes"
        assert LabelFile.read(tmp_path / "link") == LabelFile(tmp_path / "link", b"bytes")

    def test_a_model_takes_no_more_than_a_share_of_the_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(board, "memory_limit", lambda: 6 << 20)
        (tmp_path / "m").write_bytes(bytes(1 << 20))
        assert len(read_model_bytes(tmp_path / "m")) == 1 << 20
        (tmp_path / "m").write_bytes(bytes((1 << 20) + 1))
        with pytest.raises(ModelFileError, match="m is larger than the 1 MiB that fit here; take"):
            read_model_bytes(tmp_path / "m")

    def test_an_empty_file_is_read_and_is_no_model(self, tmp_path: Path) -> None:
        (tmp_path / "m").touch()
        assert read_model_bytes(tmp_path / "m") == b""
        with pytest.raises(ModelFileError, match=r"^m\.tflite is not a usable model"):
            _try(b"")

    def test_a_list_of_names_is_no_gigabyte(self, tmp_path: Path) -> None:
        with (tmp_path / "l").open("wb") as stream:
            stream.truncate(1 << 30)
        with pytest.raises(LabelsError, match=r"the labels .*l has more than 4194304 bytes"):
            LabelFile.read(tmp_path / "l")


def test_hostile_files_are_refused(shared: Path) -> None:
    """All that a forked process needs is `prepare`; one stands for the many of a benchmark."""
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from edgekit_device.trial import Job, Limits\n"
        "from edgekit_device.trial_process import prepare\n"
        "from benchmarks.forks import try_in_fork\n"
        "from edgekit.errors import EdgekitError\nfrom edgekit.model.foreign import Hints\n"
        "prepare('litert')\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    content = path.read_bytes()\n"
        "    job = Job(path.name, len(content), Limits.of(content).memory, 'litert',\n"
        "              Hints(normalization='imagenet'), parent=os.getpid())\n"
        "    try:\n        print('good', try_in_fork(job, content, seconds=60))\n"
        "    except EdgekitError as error:\n        print(type(error).__name__, error)\n"
    )
    hostile = sorted((shared / "faults" / "hostile").glob("*.tflite"))
    good = shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, [*hostile, good])],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    *refused, last = [line for line in done.stdout.splitlines() if not line.startswith("INFO")]
    assert last.startswith("good Report(refusal=None")
    assert len(refused) == len(hostile)
    for line in refused:
        assert line.startswith(("ModelFileError ", "LabelsError ")), line
