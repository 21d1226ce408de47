"""Several devices at once, in their order, until one failure too many or somebody's stop."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from edgekit_device.service.push.outcome import Outcome


def push_all(
    hosts: Sequence[str],
    push: Callable[[str], Outcome],
    told: Callable[[Outcome], None],
    *,
    batch: int,
    failures: int | None,
    stopped: Callable[[], bool],
) -> list[Outcome]:
    """Push to devices; what has begun comes to its end in any case.

    Args:
        hosts: they, each once.
        push: does it with one; called in other threads.
        told: is told of each that has ended, in this thread.
        batch: how many at once.
        failures: with so many, no further one is begun; None for any number.
        stopped: whether somebody wants no further one to be begun.

    Returns:
        How it went with each, in the order of `hosts`.
    """
    waiting, running = deque(hosts), set[Future[Outcome]]()
    outcomes: dict[str, Outcome] = {}
    failed = 0
    with ThreadPoolExecutor(batch) as pool:
        while True:
            enough = stopped() or (failures is not None and failed >= failures)
            while waiting and len(running) < batch and not enough:
                running.add(pool.submit(push, waiting.popleft()))
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                outcome = future.result()
                failed += outcome.outcome == "failed"
                outcomes[outcome.host] = outcome
                told(outcome)
    for host in waiting:
        outcomes[host] = Outcome(host=host, outcome="not tried")
    return [outcomes[host] for host in hosts]
