"""Load a TFLite delegate from a shared library: an accelerator's driver, as TFLite sees it.

The runtimes' own `load_delegate` keeps the interpreter lock of Python while the library looks for
its hardware, so that a driver that hangs there stops every thread. This loader lets it go. The two
functions it calls are those of TensorFlow Lite's `external_delegate_interface.h`.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path

from edgekit.errors import RuntimeUnavailableError


def name_of(library: str) -> str:
    """What a delegate is called after its library: `edgetpu` for `libedgetpu.so.1`."""
    return Path(library).name.removeprefix("lib").split(".so")[0]


class ExternalDelegate:
    """A delegate that has found its hardware; goes to an interpreter's `experimental_delegates`.

    Args:
        library: path of the library, or a name that the system's loader finds.
        options: what the library understands, such as `{"device": "usb"}`.

    Raises:
        RuntimeUnavailableError: the library is missing, is not a delegate, or finds no hardware.
    """

    def __init__(self, library: str, options: Mapping[str, str]) -> None:
        self._pointer: int | None = None
        try:
            code = ctypes.CDLL(library)
            create = code.tflite_plugin_create_delegate
            self._destroy = code.tflite_plugin_destroy_delegate
        except OSError as error:
            raise RuntimeUnavailableError(
                f"the delegate {library} cannot be loaded ({error}); install it"
            ) from error
        except AttributeError as error:
            raise RuntimeUnavailableError(
                f"{library} is not a TFLite delegate; name a library that is one"
            ) from error
        reasons: list[str] = []
        report = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(
            lambda text: reasons.append((text or b"").decode("utf-8", "replace").strip())
        )
        texts = ctypes.c_char_p * len(options)
        create.argtypes = [type(texts()), type(texts()), ctypes.c_size_t, type(report)]
        create.restype = ctypes.c_void_p
        self._destroy.argtypes = [ctypes.c_void_p]
        self._destroy.restype = None
        self._pointer = create(
            texts(*(key.encode() for key in options)),
            texts(*(value.encode() for value in options.values())),
            len(options),
            report,
        )
        if not self._pointer:
            # libedgetpu gives no reason at all.
            reason = " ".join(" ".join(reasons).split()) or "it gives no reason"
            raise RuntimeUnavailableError(
                f"the delegate {library} does not start ({reason}); attach its hardware"
            )

    def _get_native_delegate_pointer(self) -> int | None:
        # Both runtimes ask their own delegates for it by this name.
        return self._pointer

    def __del__(self) -> None:
        if self._pointer:
            self._destroy(self._pointer)
