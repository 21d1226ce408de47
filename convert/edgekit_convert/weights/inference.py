"""PyTorch while it answers: without gradients, and beside onnx2tf, which works at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edgekit.child import cores


@contextmanager
def inference() -> Iterator[None]:
    """No gradients in the body, and a thread on every core but one.

    onnx2tf has that one. Threads that share a picture spin while one of them waits for a core: on
    two cores, with onnx2tf on one of them, two threads took four times the CPU time of one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, cores() - 1)))
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
