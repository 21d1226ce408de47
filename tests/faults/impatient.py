"""`edgekit` with shorter waits where no setting has them: python -m tests.faults.impatient …"""

from edgekit_device import retry
from edgekit_device.retry import RetryPolicy

# Before those that use them are imported.
_SOON = RetryPolicy(0.1, 0.4)
retry.CAMERA = retry.BROKER = retry.WEBHOOK = retry.DELEGATE = _SOON

from edgekit_device.daemon import hot_swap  # noqa: E402
from edgekit_device.sinks.mqtt import connection, sink  # noqa: E402

from edgekit.cli import main  # noqa: E402
from edgekit.inference import drift  # noqa: E402

hot_swap.LOOK_EVERY = 0.1
sink.ACKNOWLEDGE = 1.0
connection.KEEPALIVE = 1
# Drift is told after twenty pictures.
drift.INTERVAL, drift.WINDOW = 0.001, 40

if __name__ == "__main__":
    main()
