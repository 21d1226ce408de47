"""A TFLite interpreter, on the CPU or with an accelerator's delegate."""

import contextlib
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InferenceError, RuntimeUnavailableError
from edgekit.inference import runtimes
from edgekit.inference.external_delegate import ExternalDelegate, name_of
from edgekit.inference.private_file import private_file

# The operator that the Edge TPU's compiler puts in the place of all those it took.
_EDGETPU_OPERATOR = "edgetpu-custom-op"
# TFLite puts these sentences behind a reason without a space, and repeats all earlier ones.
_STOCK = re.compile(r"(Node number \d+ \(.+?\) failed to \w+|Restored original execution plan.*)")


def _reason(error: Exception) -> str:
    """What a runtime says, on one line and once."""
    parts = (part.strip(" .") for line in str(error).splitlines() for part in _STOCK.split(line))
    return "; ".join(dict.fromkeys(part for part in parts if part)) or "it gives no reason"


def _forget_frames(error: Exception) -> None:
    """Let an error that is kept not keep the runtime's interpreter, and its accelerator, open."""
    traceback.clear_frames(error.__traceback__)


class Interpreter:
    """A TFLite interpreter for a one-input, one-output model whose structure has been checked.

    Args:
        flatbuffer: the TFLite model.
        runtime: one of `runtimes.choices()`.
        threads: CPU threads for each inference.
        reference: use the reference kernels, which give equal bits on every machine.
        delegate: library of the accelerator that runs what was compiled for it, for example
            `libedgetpu.so.1`; None for the CPU.
        delegate_options: what that library understands, for example `{"device": "usb"}`.
        on_disk: keep the flatbuffer in a file rather than in memory, where the system can.

    Attributes:
        runtime: the runtime that was chosen.
        accelerator: name of the delegate that runs at least one of the model's operators, or `cpu`.

    Raises:
        RuntimeUnavailableError: the runtime is not installed or refuses the model, or the delegate
            does not load (its library is missing, or its hardware is) or has no use for the model.
    """

    def __init__(
        self,
        flatbuffer: bytes,
        *,
        runtime: str = "auto",
        threads: int = 1,
        reference: bool = False,
        delegate: str | None = None,
        delegate_options: Mapping[str, str] | None = None,
        on_disk: bool = False,
    ) -> None:
        self.runtime, module = runtimes.load(runtime)
        self.accelerator = name_of(delegate) if delegate else "cpu"
        resolver = module.OpResolverType
        kind = resolver.BUILTIN_REF if reference else resolver.AUTO
        self._interpreter: Any = None
        self._answering = threading.Lock()
        try:
            with private_file(flatbuffer) if on_disk else contextlib.nullcontext() as path:
                self._interpreter = module.Interpreter(
                    model_path=path,
                    model_content=None if path else flatbuffer,
                    num_threads=threads,
                    experimental_op_resolver_type=kind,
                    # Held by the interpreter alone, which must go first.
                    experimental_delegates=(
                        [ExternalDelegate(delegate, delegate_options or {})] if delegate else None
                    ),
                )
                # The runtime's own delegates come later, when tensors are allocated.
                idle = bool(delegate) and "DELEGATE" not in self._operators()
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = self._refusal(str(error), _reason(error))
            self.close()
            _forget_frames(error)
            raise RuntimeUnavailableError(reason) from error
        if idle:
            self.close()
            # The CPU would do it all and pass for the accelerator.
            raise RuntimeUnavailableError(
                f"{self.accelerator} runs no operator of this model; compile the model for it "
                "(edgekit convert --edgetpu), or leave the delegate out"
            )
        self._input = self._interpreter.get_input_details()[0]
        self._output_details = self._interpreter.get_output_details()

    def _operators(self) -> list[str]:
        return [details["op_name"] for details in self._interpreter._get_ops_details()]

    def _refusal(self, text: str, reason: str) -> str:
        if self.accelerator != "cpu":
            return f"{self.runtime} with {self.accelerator} refuses the model: {reason}"
        if _EDGETPU_OPERATOR in text:
            return (
                "the model was compiled for an Edge TPU, which the CPU cannot stand in for; use "
                "the file without _edgetpu in its name, or the delegate edgetpu"
            )
        return f"{self.runtime} refuses the model: {reason}; convert it again"

    def close(self) -> None:
        """Let go of the model and the accelerator, whoever still holds this; it is of no use then.

        libedgetpu shares an open device with whatever opens it again in the same process, so one
        that has failed works again only after everything has let go of it.
        """
        self._interpreter = None

    @contextlib.contextmanager
    def _inference(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, RuntimeError) as error:
            _forget_frames(error)
            raise InferenceError(
                f"the inference failed in {self.runtime} on {self.accelerator}: {_reason(error)}"
            ) from error

    @property
    def input_dtype(self) -> type[np.generic]:
        """The model's own type: `numpy.uint8`, `int8` or `float32`."""
        dtype: type[np.generic] = self._input["dtype"]
        return dtype

    def set_input(self, tensor: NDArray[Any]) -> None:
        """Copy a picture (1, H, W, 3) to the input.

        Args:
            tensor: values of the model's own type; or raw pixels, uint8, which are converted to it
                as models that edgekit made want them.

        Raises:
            InferenceError: the tensor is of another shape, or this was closed.
        """
        if self._interpreter is None:
            raise InferenceError("the model is closed; open it again")
        dtype = self.input_dtype
        if tensor.dtype == dtype:
            values = tensor
        elif dtype is np.int8:
            values = (tensor ^ 0x80).view(np.int8)
        else:
            values = tensor.astype(np.float32)
        with self._inference():
            self._interpreter.set_tensor(self._input["index"], values)

    def invoke(self) -> None:
        """Run the graph on the input that was set; other Python threads run meanwhile.

        Raises:
            InferenceError: an operator, or the delegate, failed.
        """
        with self._inference():
            self._interpreter.invoke()

    def outputs(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Name and dequantized value, float32 of the tensor's own shape, of every output."""
        for details in self._output_details:
            yield details["name"], self._dequantized(details)

    def output(self) -> NDArray[np.float32]:
        """The first output, (values,) float32, dequantized: scale * (value - zero point)."""
        return self._dequantized(self._output_details[0]).reshape(-1)

    def answer(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """The first output for an input: `set_input`, `invoke` and `output` together.

        Threads that ask at once are answered one after the other, each about its own input.
        """
        with self._answering:
            self.set_input(tensor)
            self.invoke()
            return self.output()

    def _dequantized(self, details: dict[str, Any]) -> NDArray[np.float32]:
        with self._inference():
            raw = self._interpreter.get_tensor(details["index"])
        scale, zero_point = details["quantization"]
        values = raw.astype(np.float32, copy=False)
        if scale:
            values = (values - np.float32(zero_point)) * np.float32(scale)
        return np.asarray(values, dtype=np.float32)
