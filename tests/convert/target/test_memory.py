"""What a model needs on its device."""

import subprocess
import sys
from pathlib import Path

import pytest
from edgekit_convert.target.memory import (
    TARGETS,
    Network,
    Target,
    budget,
    check_fits,
    estimate,
    measure,
    parse_memory,
)

from edgekit.errors import ConversionError
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.container import read_model

MIB = 1 << 20
ZERO = TARGETS["pi-zero-2w"]


def _resnet(option: str, classes: int = 10) -> Network:
    architecture = ARCHITECTURES[option]
    return Network.resnet(architecture, classes * (architecture.features + 1))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 * MIB),
        ("512 MB", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("1G", 1024 * MIB),
        ("1.5gib", 1536 * MIB),
    ],
)
def test_an_amount_of_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "512", "M", "0M", "-1G", "1T", "1e3M", "1,5G", "9" * 400 + "G"]
)
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory like 512M or 1G"):
        parse_memory(text)


def test_targets() -> None:
    assert all(target.name == name for name, target in TARGETS.items())
    assert ZERO.memory_bytes == 512 * MIB
    assert {name for name, target in TARGETS.items() if target.edgetpu} == {
        "coral-usb",
        "coral-dev-board",
    }


def test_the_system_keeps_its_share() -> None:
    assert budget(512 * MIB) == 256 * MIB
    assert budget(128 * MIB) == 0


@pytest.mark.parametrize("option", ARCHITECTURES)
def test_every_resnet_fits_the_smallest_board(option: str) -> None:
    network = _resnet(option, classes=1000)
    check_fits(estimate(network, 224, 224), ZERO, network, 224, 224)


# What `measure` said, in MiB.
@pytest.mark.parametrize(
    ("option", "size", "peak"),
    [
        ("18", 64, 98.9), ("18", 224, 106.4), ("18", 448, 135.2), ("18", 768, 209.0),
        ("34", 64, 119.0), ("34", 224, 128.8),
        ("50", 64, 126.2), ("50", 224, 140.1), ("50", 448, 190.6),
        ("101", 64, 167.2), ("101", 224, 186.9),
        ("152", 64, 200.6), ("152", 224, 228.7),
    ],
)  # fmt: skip
def test_the_estimate_is_what_was_measured(option: str, size: int, peak: float) -> None:
    assert estimate(_resnet(option), size, size) == pytest.approx(peak * MIB, rel=0.03)


def test_a_smaller_size_or_architecture_is_named() -> None:
    network = _resnet("152")
    with pytest.raises(ConversionError) as caught:
        check_fits(estimate(network, 448, 448), ZERO, network, 448, 448)
    message = str(caught.value)
    assert "at 448 x 448 pixels the model needs 325 MiB" in message
    assert "of the 512 MiB of pi-zero-2w a daemon may use 256 MiB" in message
    assert message.endswith("use --size 288 or --arch 50")
    check_fits(estimate(network, 288, 288), ZERO, network, 288, 288)
    with pytest.raises(ConversionError):
        check_fits(estimate(network, 320, 320), ZERO, network, 320, 320)


def test_alternatives_follow_from_what_was_measured() -> None:
    network = _resnet("18")
    excess = network.bytes_per_pixel * (224 * 224 - 160 * 160)
    with pytest.raises(ConversionError, match=r"use --size 160$"):
        check_fits(256 * MIB + excess, ZERO, network, 224, 224)


def test_an_architecture_alone_is_named_where_no_size_helps() -> None:
    small = Target("device", 400 * MIB, edgetpu=False)
    network = _resnet("152")
    with pytest.raises(ConversionError, match=r"use --arch 50$"):
        check_fits(estimate(network, 64, 64), small, network, 64, 64)


@pytest.mark.parametrize("network", [_resnet("18"), Network(None, 10**7)])
def test_nothing_is_named_where_nothing_fits(network: Network) -> None:
    tiny = Target("device", 300 * MIB, edgetpu=False)
    with pytest.raises(ConversionError, match="use a larger device"):
        check_fits(estimate(network, 224, 224), tiny, network, 224, 224)


def test_a_target_of_unknown_memory_holds_everything() -> None:
    check_fits(1 << 40, TARGETS["coral-usb"], _resnet("18"), 224, 224)


def test_a_real_model(converted: Path) -> None:
    model = read_model(converted)
    measured = measure(model.flatbuffer)
    assert measured.runtime in ("litert", "tflite")
    # The weights, and a copy of them in the runtime's order.
    assert measured.arena_bytes > 1.5 * len(model.flatbuffer)
    assert measured.arena_bytes < measured.peak_bytes < 300 * MIB
    architecture = ARCHITECTURES["18"]
    network = Network.resnet(architecture, model.graph.parameters() - architecture.parameters())
    assert estimate(network, 64, 64) == pytest.approx(measured.peak_bytes, rel=0.25)


def test_a_model_that_cannot_be_measured() -> None:
    with pytest.raises(ConversionError, match=r"could not be measured: .*not a usable model"):
        measure(b"no model")


def test_the_measuring_process_loads_what_the_daemon_loads() -> None:
    program = "import edgekit_convert.target.memory, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "tensorflow", "onnx", "rich"} & set(done.stdout.split())
