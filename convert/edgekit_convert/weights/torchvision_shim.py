"""Import torchvision beside any build of torch.

torchvision's wheel for x86-64 Linux is built for CUDA. Beside a CPU-only torch its compiled
operators do not load, and the import dies with "operator torchvision::nms does not exist", although
the ResNets need none of them. Declaring the operators' schemas is enough for the import.
"""

from types import ModuleType

import torch

# A library's definitions live as long as the object.
_DECLARED: list[torch.library.Library] = []
_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """The module `torchvision`, with its operators declared where they do not load."""
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error) or _DECLARED:
            raise
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}{_BOXES}")  # type: ignore[no-untyped-call]
        _DECLARED.append(library)
        import torchvision
    module: ModuleType = torchvision
    return module
