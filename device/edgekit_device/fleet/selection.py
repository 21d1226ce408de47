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
_HASH = re.compile("[0-9a-f]{6,64}", re.IGNORECASE)


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
            OutputError: no device at all has one of the names.
        """
        if absent := self.absent(devices):
            raise OutputError(
                f"{where} knows {len(devices):,} device(s), and none is called "
                f"{' or '.join(absent)}; edgekit fleet without --name shows them"
            )
        return [device for device in devices if self.fits(device)]

    def absent(self, devices: Sequence[Device]) -> list[str]:
        """The names that no device has."""
        known = [device.name for device in devices]
        return [name for name in self.names if not any(fnmatchcase(one, name) for one in known)]

    def remarks(self, devices: Sequence[Device]) -> list[str]:
        """What looks as if all were well, and is only spelt wrongly: lines for people."""
        said = [f"no device is called {name}" for name in self.absent(devices)]
        if self.model is not None and not any(_has_model(one, self.model) for one in devices):
            said.append(f"no device has a model {self.model}; edgekit fleet shows those that run")
        return said

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
    if _HASH.fullmatch(wanted) and device.model_sha256.startswith(wanted.lower()):
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
            help="Only those with such a name; may be given several times. One that no device has "
            "is an error.",
        ),
    ):
        command = option(command)
    return command
