"""A user's own `nn.Module`, made ready for inference on the processor; itself it stays as it is."""

import contextlib
import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from edgekit.errors import CheckpointError
from edgekit.text import listed, one_line
from edgekit_convert.weights.names import KEYS

# Where wrappers that change no answer keep the network: DataParallel, torch.compile.
_WRAPPERS = {
    "DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod",
}  # fmt: skip
# What of an output of several values is the answer, as Hugging Face calls it.
_LOGITS = "logits"
# Attributes in which libraries say something of a network.
_SAYINGS = ("config", "pretrained_cfg", "default_cfg")


class Answering(nn.Module):
    """A network that gives one tensor, whatever it is wrapped in.

    Attributes:
        network: the user's, or a copy of it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, or probabilities, of pictures (N, 3, H, W) float32.

        Raises:
            CheckpointError: it gives several values, and none is called `logits`.
        """
        return _answer(self.network(pictures))


def _answer(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        if isinstance(output.get(_LOGITS), Tensor):
            logits: Tensor = output[_LOGITS]
            return logits
        held = ", ".join(map(str, output))
        output = tuple(output.values())
    elif isinstance(output, (tuple, list)):
        held = ", ".join(
            str(tuple(one.shape)) if isinstance(one, Tensor) else type(one).__name__
            for one in output
        )
    else:
        raise CheckpointError(
            f"the network gives {type(output).__name__}, not a tensor; wrap it in an nn.Module "
            "whose forward returns the logits"
        )
    if len(output) == 1:
        return _answer(output[0])
    raise CheckpointError(
        f"the network gives {len(output)} outputs ({held}), not one score for each class; wrap it "
        "in an nn.Module whose forward returns the logits alone"
    )


def prepare(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """A network for inference in float32 on the processor, and what was changed, in words.

    Args:
        module: the user's; it is not changed.

    Raises:
        CheckpointError: it has no values, is quantized, or cannot be copied where it has to be.
    """
    module = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise CheckpointError(
            "the network is a TorchScript program, which PyTorch's exporter does not take; give "
            "the nn.Module that it was made of"
        )
    _check_tensors(module)
    notes = []
    if module.training:
        notes.append("the network was in training mode; it is converted as in evaluation mode")
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in _tensors(module).values()
                    if t.is_floating_point() and t.dtype is not torch.float32})  # fmt: skip
    if kinds:
        notes.append(f"the network has {' and '.join(kinds)} weights; it is computed in float32")
    elsewhere = any(tensor.device.type != "cpu" for tensor in _tensors(module).values())
    in_training = any(one.training for one in module.modules())
    try:
        ready = copy.deepcopy(module)
    except Exception as error:  # tensors that are no leaves, locks, a trainer's own references
        if in_training or kinds or elsewhere:
            raise CheckpointError(
                f"the network cannot be copied ({one_line(error, 120)}); bring it to evaluation "
                "mode, float32 and the processor yourself: model.eval().float().cpu()"
            ) from error
        ready = module
    else:
        with contextlib.suppress(NotImplementedError):  # a program has no modes
            ready.eval()
        ready = ready.float().cpu()
    answering = Answering(ready)
    answering.training = False
    return answering, notes


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside of wrappers that change no answer."""
    while (name := _WRAPPERS.get(type(module).__name__)) and hasattr(module, name):
        module = getattr(module, name)
    return module


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _check_tensors(module: nn.Module) -> None:
    found = _tensors(module)
    if lazy := [name for name, one in found.items() if is_lazy(one)]:
        raise CheckpointError(
            f"the network has layers that never saw a picture ({listed(lazy, 3)}); run it once, "
            "train it, and try again"
        )
    if empty := [name for name, one in found.items() if one.is_meta]:
        raise CheckpointError(
            f"the network has no values in {listed(empty, 3)} (device 'meta'); load its weights "
            "first"
        )
    quantized = [name for name, one in found.items() if one.is_quantized]
    packed = [name for name, one in module.named_modules() if ".quantized." in type(one).__module__]
    if quantized or packed:
        raise CheckpointError(
            f"the network is quantized already ({listed(quantized or packed, 3)}); give the float "
            "network that it was made of"
        )
    for name, tensor in found.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"the network holds values that are not finite, in {name}")
    if not found:
        raise CheckpointError("the network has no weights; give the trained network")


def digest(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of a network's tensors, in hexadecimal."""
    found = hashlib.sha256()
    for name, tensor in sorted(_tensors(network).items()):
        values = np.ascontiguousarray(tensor.detach().cpu().contiguous().view(-1).numpy())
        found.update(f"{name} {values.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def said_of(module: nn.Module) -> dict[str, Any]:
    """What libraries keep in a network about it: Transformers' configuration, Lightning's
    hyperparameters, timm's configuration, and names of classes as attributes.
    """
    module = unwrapped(module)
    kept = {name: _as_dictionary(vars(module).get(name)) for name in (*_SAYINGS, *KEYS)}
    # A property of Lightning's.
    kept["hparams"] = _as_dictionary(getattr(module, "hparams", None))
    return kept


def _as_dictionary(value: Any) -> Any:
    convert = getattr(value, "to_dict", None)
    return convert() if callable(convert) else value
