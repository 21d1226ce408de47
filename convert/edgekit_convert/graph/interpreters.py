"""Several interpreters of one model, which share the pictures and the processor's cores."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

from numpy.typing import NDArray

from edgekit.inference.interpreter import Interpreter

Read = TypeVar("Read")

# Each has a copy of the weights, and the activations of a picture.
_MOST = 4


class Interpreters:
    """A model on all threads, a picture on each.

    Threads that share one picture wait for each other at every operator, spinning, and all of them
    while Python reads what came out.

    Args:
        flatbuffer: the TFLite model.
        threads: CPU threads, of all together.
        runtime: see `edgekit.inference.interpreter.Interpreter`.

    Raises:
        RuntimeUnavailableError: the runtime is not installed, or refuses the model.
    """

    def __init__(self, flatbuffer: bytes, threads: int, runtime: str = "auto") -> None:
        self._count = min(threads, _MOST)
        self._free: SimpleQueue[Interpreter] = SimpleQueue()
        for _ in range(self._count):
            self._free.put(Interpreter(flatbuffer, threads=threads // self._count, runtime=runtime))

    def map(
        self, pictures: NDArray[Any], read: Callable[[Interpreter, int], Read]
    ) -> Iterator[Read]:
        """What `read` makes of an interpreter that has answered a picture, in their order.

        Args:
            pictures: (N, H, W, 3).
            read: takes the interpreter and the picture's number; called in several threads.
        """

        def one(index: int) -> Read:
            interpreter = self._free.get()
            try:
                interpreter.set_input(pictures[index : index + 1])
                interpreter.invoke()
                return read(interpreter, index)
            finally:
                self._free.put(interpreter)

        with ThreadPoolExecutor(self._count) as pool:
            yield from pool.map(one, range(len(pictures)))
