"""Small networks as the libraries of docs/trainers.md save them; run where these are installed.

`python trainers.py LIBRARY` makes what the library's example needs in the working folder, checks
that files load by themselves with the answers of the network, and runs the example, whose
conversion ends when the network is open.
"""

import re
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from edgekit_convert.weights.torchvision_shim import import_torchvision
from torch import nn

torchvision = import_torchvision()
import edgekit_convert as ek  # noqa: E402
from edgekit_convert.source_models import find_source  # noqa: E402
from edgekit_convert.weights.labels import class_names  # noqa: E402
from edgekit_convert.weights.trained import open_resnet  # noqa: E402

from edgekit.errors import CheckpointError  # noqa: E402
from edgekit.model.geometry import Geometry  # noqa: E402
from edgekit.model.manifest import Normalization  # noqa: E402

NAMES = ["ant", "bee", "cat"]
SIZE = 64
PLAIN = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PICTURES = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
PAGE = Path(__file__).parents[2] / "docs" / "trainers.md"


def seen(network: nn.Module) -> nn.Module:
    """The network, with BatchNorm statistics of a few pictures."""
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(PICTURES)
    return network.eval()


def logits(network: nn.Module) -> np.ndarray:
    with torch.inference_mode():
        answer = network.eval()(PICTURES)
    return np.asarray(getattr(answer, "logits", answer))


def check_file(path: str, network: nn.Module, names: list[str] | None = None) -> None:
    """A file loads by itself, with the network's answers."""
    opened = open_resnet(None, path, PLAIN)
    assert opened.forward is not None
    np.testing.assert_allclose(
        opened.forward(PICTURES.numpy()).logits, logits(network), rtol=1e-3, atol=1e-3
    )
    assert names is None or names in [one.names for one in opened.saved_names]


class Opened:
    """What a conversion is until the network is open."""

    def __init__(self, model: Any, size: int, classes: list[str] | None = None, **rest: Any):
        mean, std = rest.get("mean", PLAIN.mean), rest.get("std", PLAIN.std)
        geometry = Geometry(size, size, 1.0)
        self.model = find_source(model).open(Normalization(tuple(mean), tuple(std)), geometry)
        self.names = class_names(self.model, classes, None, None).names

    def save(self, path: str) -> None:
        assert path == "door.tflite"


def run_example(title: str) -> Opened:
    """The example of a section of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"### {title}\n")[1]
    (example, *_) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    space: dict[str, Any] = {}
    with mock.patch.object(ek, "convert", Opened):
        exec(compile(example, str(PAGE), "exec"), space)
    result: Opened = space["result"]
    assert result.names == NAMES
    return result


def check_answers(result: Opened, network: nn.Module) -> None:
    """The network that was opened answers as its owner's."""
    assert isinstance(result.model.network, nn.Module)
    found = logits(result.model.network)
    np.testing.assert_allclose(found, logits(network), rtol=1e-3, atol=1e-3)


def with_timm() -> None:
    import timm
    from timm.models import save_for_hf
    from timm.utils import CheckpointSaver, ModelEmaV3

    torch.manual_seed(0)
    plain = seen(timm.create_model("resnet18", num_classes=3))
    saver = CheckpointSaver(
        plain, torch.optim.SGD(plain.parameters(), 0.1), model_ema=ModelEmaV3(plain),
        checkpoint_dir=".",
    )  # fmt: skip
    saver.save_checkpoint(1, 0.5)
    check_file("last.pth.tar", plain)
    save_for_hf(plain, Path("hub"), model_config={"label_names": NAMES}, safe_serialization=True)
    check_file("hub", plain, NAMES)
    blurred = seen(timm.create_model("resnetblur18", num_classes=3))
    save_for_hf(blurred, Path("blurred"), safe_serialization=True)
    try:
        check_file("blurred", blurred)
    except CheckpointError as refusal:
        assert "architecture: resnetblur18" in str(refusal)
    else:
        raise AssertionError("a network that blurs was taken for torchvision's")
    deep = seen(timm.create_model("resnet18d", num_classes=3))
    torch.save({"arch": "resnet18d", "state_dict": deep.state_dict()}, "model_best.pth.tar")
    check_answers(run_example("timm"), deep)


def with_transformers() -> None:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", num_labels=3,
        id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    network = seen(ResNetForImageClassification(config))
    network.save_pretrained("door")
    ConvNextImageProcessor(
        size={"shortest_edge": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained("door")
    check_file("door", network, NAMES)
    network.save_pretrained("parts", max_shard_size="10MB")
    check_file("parts", network, NAMES)
    check_answers(run_example("Hugging Face"), network)


def with_fastai() -> None:
    from fastai.vision.all import ImageDataLoaders, Learner, Resize, resnet18, vision_learner
    from PIL import Image

    for name in NAMES:
        Path("photos", name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (SIZE, SIZE), (60 * number, 90, 120)).save(
                f"photos/{name}/{number}.png"
            )
    loaders = ImageDataLoaders.from_folder(
        Path("photos"), valid_pct=0.3, bs=4, num_workers=0, item_tfms=Resize(SIZE), seed=1
    )
    plain = Learner(loaders, seen(torchvision.models.resnet18(num_classes=3)))
    plain.save(Path("plain").absolute())
    check_file("plain.pth", plain.model)
    learn = vision_learner(loaders, resnet18, pretrained=False)
    seen(learn.model)
    learn.export(Path("door.pkl").absolute())
    check_answers(run_example("fastai"), learn.model)


def with_lightning() -> None:
    import lightning

    source = """
import lightning
import torch
import torchmetrics
import torchvision

class Door(lightning.LightningModule):
    def __init__(self, class_names=("ant", "bee", "cat")):
        super().__init__()
        self.save_hyperparameters()
        self.net = torchvision.models.resnet18(num_classes=3)
        self.criterion = torch.nn.CrossEntropyLoss(weight=torch.ones(3))
        self.confusion = torchmetrics.ConfusionMatrix("multiclass", num_classes=3)
        self.confusion.persistent(True)

    def forward(self, pictures):
        return self.net(pictures)

    def training_step(self, batch, index):
        pictures, labels = batch
        return self.criterion(self(pictures), labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-4)
"""
    Path("door.py").write_text(source)
    sys.path.insert(0, "")
    from door import Door

    module = Door()
    seen(module.net)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader([(picture, 0) for picture in PICTURES], batch_size=4)
    trainer.fit(module, loader)
    trainer.save_checkpoint("best.ckpt")
    check_file("best.ckpt", module, NAMES)
    check_answers(run_example("Lightning"), module)


if __name__ == "__main__":
    torch.set_num_threads(2)
    globals()[f"with_{sys.argv[1]}"]()
