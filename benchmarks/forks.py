"""Try many models in little time: each in a fork of a process that has loaded everything."""

import os
import select
import signal

from edgekit_device.trial import judge, nameless
from edgekit_device.trial_process import run, say
from edgekit_device.trial_protocol import READY, Job, Report

from edgekit.errors import ModelFileError


def try_in_fork(
    job: Job, content: bytes, labels: bytes | None = None, *, seconds: float = 5.0
) -> Report:
    """Try a model as `edgekit_device.trial.try_model` does, without the start of Python.

    For a process without other threads that has called `trial_process.prepare`.

    Args:
        job: what is to be tried; its `parent` is this process.
        content: the model.
        labels: the labels that `job` names.
        seconds: that it may take.

    Raises:
        ModelFileError, LabelsError: as `try_model`.
    """
    with nameless() as said, nameless() as noise:
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(noise.fileno(), 2)
                os.write(1, READY + b"\n")
                say(run(job, content, labels))
            finally:
                os._exit(1)
        end = os.pidfd_open(pid)
        ended, _, _ = select.select([end], [], [], seconds)
        os.close(end)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        said.seek(0)
        noise.seek(0)
        answer, words = said.read(), noise.read()
    if not ended:
        raise ModelFileError(f"{job.path} gave no answer within {seconds:g} s")
    return judge(job, os.waitstatus_to_exitcode(status), answer, words)
