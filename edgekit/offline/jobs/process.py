"""A worker's process: takes items on its standard input, and answers on its standard output.

First comes the `Work`, then one item after another, all pickled; each is answered by its outcome,
or by an exception that nobody foresaw. It ends when its input does, in the midst of an item, too:
whoever asked may have been killed.
"""

import os
import pickle
import queue
import sys
import threading
from typing import Any, BinaryIO

from edgekit.offline.jobs.work import outcome


def main() -> None:
    """Answer until there is nothing more to answer."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    work, do = asked.get(), None
    while True:
        item = asked.get()
        try:
            do = do or work.open()
            answer: object = outcome(do, item)
        except Exception as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


def _listen(stream: BinaryIO, asked: "queue.SimpleQueue[Any]") -> None:
    try:
        while True:
            asked.put(pickle.load(stream))
    except BaseException as error:
        # The end of the input is the usual one. Nobody else could end the process now.
        os._exit(0 if isinstance(error, EOFError) else 1)


if __name__ == "__main__":
    main()
