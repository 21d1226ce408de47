"""A network as a PyTorch module."""

import torch

from benchmarks.peers.tools.serving import Network


def module(network: Network) -> torch.nn.Module:
    """As it was trained; through onnx2torch where there is an ONNX file alone."""
    if network.program.is_file():
        found: torch.nn.Module = torch.export.load(network.program).module()
        # An exported program refuses to be told what it is already.
        found.train = lambda mode=True: found  # type: ignore[method-assign, assignment, misc]
        return found
    import onnx
    import onnx2torch

    model = onnx.version_converter.convert_version(onnx.load(network.onnx), 13)
    return onnx2torch.convert(model).eval()
