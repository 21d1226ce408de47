"""Which devices are meant."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click
import msgspec

from edgekit.errors import OutputError
from edgekit_device.fleet.devices import STATES, Device

_F = TypeVar("_F", bound=Callable[..., Any])
_HASH = re.compile("[0-9a-f]{6,64}")


class Selection(msgspec.Struct, frozen=True):
    """Which devices are meant: those that fit all that is given.

    Attributes:
        names: patterns with * and ?, of which one fits.
        states: of which it has one.
        model: pattern for the name of its model, or the beginning of its hash.
        unwell: only those that are.
    """

    names: Sequence[str] = ()
    states: Sequence[str] = ()
    model: str | None = None
    unwell: bool = False

    def choose(self, devices: Sequence[Device], where: str) -> list[Device]:
        """Those of some devices that are meant.

        Raises:
            OutputError: no device at all has such a name.
        """
        named = [device for device in devices if self._named(device)]
        if self.names and not named:
            raise OutputError(
                f"{where} knows {len(devices):,} device(s), and none is called "
                f"{' or '.join(self.names)}; edgekit fleet without --name shows them"
            )
        return [device for device in named if self.fits(device)]

    def fits(self, device: Device) -> bool:
        """Whether a device is meant."""
        return (
            self._named(device)
            and (not self.states or device.state in self.states)
            and (self.model is None or _has_model(device, self.model))
            and (device.unwell or not self.unwell)
        )

    def _named(self, device: Device) -> bool:
        return not self.names or any(fnmatchcase(device.name, name) for name in self.names)


def _has_model(device: Device, wanted: str) -> bool:
    if _HASH.fullmatch(wanted) and device.model_sha256.startswith(wanted):
        return True
    return fnmatchcase(device.model, wanted)


def selection_options(command: _F) -> _F:
    """Add the options that say which devices are meant, which make a `Selection`."""
    for option in (
        click.option("--unwell", is_flag=True, help="Only those that somebody should look at."),
        click.option(
            "--model",
            metavar="GLOB|HASH",
            help="Only those with a model of that name (* and ? stand for others), or whose hash "
            "begins so.",
        ),
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice(STATES),
            help="Only those in this state; may be given several times.",
        ),
        click.option(
            "--name",
            "names",
            multiple=True,
            metavar="GLOB",
            help="Only those with such a name; may be given several times.",
        ),
    ):
        command = option(command)
    return command
