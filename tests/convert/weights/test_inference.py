"""How PyTorch answers pictures beside onnx2tf."""

import pytest
import torch
from edgekit_convert.weights import inference as module
from edgekit_convert.weights.inference import inference


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 3)])
def test_one_core_is_left_to_onnx2tf(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr(module, "cores", lambda: cores)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with inference():
            assert torch.get_num_threads() == threads
            assert torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_the_caller_s_threads_are_never_more_and_come_back_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "cores", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError), inference():
            assert torch.get_num_threads() == 2
            raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
