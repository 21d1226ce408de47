"""Libraries whose objects a user may give: none is loaded for the sake of asking."""

import sys
from typing import Any

import numpy as np


def is_a(value: Any, module: str, name: str) -> bool:
    """Whether a value is an instance of a class of a library, which nobody may have loaded.

    Args:
        value: anything.
        module: of the class, for example `torch`.
        name: of the class.
    """
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of PyTorch."""
    return is_a(value, "torch", "Tensor")


def is_pil(value: Any) -> bool:
    """Whether it is a picture of Pillow."""
    return is_a(value, "PIL.Image", "Image")


def is_loader(value: Any) -> bool:
    """Whether it is a DataLoader of PyTorch."""
    return is_a(value, "torch.utils.data", "DataLoader")


def copied(value: Any) -> Any:
    """A picture or label that stays as it is: a generator may write the next one in its place."""
    if is_tensor(value):
        return value.detach().clone()
    if is_pil(value):
        return value.copy()
    return np.array(value) if hasattr(value, "__array__") else value


def is_loaders_of_fastai(value: Any) -> bool:
    """Whether it is fastai's pair of loaders, of training and of validation."""
    return is_a(value, "fastai.data.core", "DataLoaders")


def attribute(value: Any, name: str) -> Any:
    """An attribute of an object of others; None where it has none, or its own code fails."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None
