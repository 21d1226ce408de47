"""onnxruntime on the processor, with its errors as ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from edgekit.errors import ConversionError
from edgekit.text import first_line

_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)


class Session:
    """A loaded ONNX model.

    Raises:
        ConversionError: onnxruntime refuses it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal; failures raise, warnings are about unused constants
        # onnx2tf wants the processor at the same time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except _ERRORS as error:
            reason = first_line(error)
            raise ConversionError(f"onnxruntime refuses the ONNX model: {reason}") from error

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Values of some outputs, for values of all inputs.

        Raises:
            ConversionError: onnxruntime fails on them.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(list(outputs), dict(feed))
        except _ERRORS as error:
            reason = first_line(error)
            raise ConversionError(f"onnxruntime cannot run the model: {reason}") from error
        return found
