"""The demo's material: made once in a folder, and found there the next time."""

import fcntl
import hashlib
from dataclasses import dataclass
from pathlib import Path

from demo.scene import CLASSES, write_clip, write_pictures

# What these files say decides what the material looks like.
_RECIPE = ("fixtures.py", "scene.py", "toys.py", "train.py")


@dataclass(frozen=True)
class Material:
    """Paths of the clip, its truth, the trained checkpoint, and the pictures around it."""

    clip: Path
    truth: Path
    checkpoint: Path
    classes: Path
    calibration: Path
    evaluation: Path


def material_in(folder: Path) -> Material:
    """Where `make_material` puts things."""
    return Material(
        clip=folder / "clip.avi",
        truth=folder / "truth.json",
        checkpoint=folder / "resnet18_demo.pth",
        classes=folder / "classes.txt",
        calibration=folder / "calibration",
        evaluation=folder / "evaluation",
    )


def _recipe() -> str:
    sources = (Path(__file__).with_name(name).read_bytes() for name in _RECIPE)
    return hashlib.sha256(b"".join(sources)).hexdigest()


def make_material(folder: Path) -> Material:
    """Render the clip and the pictures and train the network, unless they are there already.

    Of several processes that ask for it at once, one makes it, and the others wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _make_material(folder)


def _make_material(folder: Path) -> Material:
    material = material_in(folder)
    # Written last, so that it stands for everything before it; another recipe starts afresh.
    stamp, recipe = folder / "recipe.sha256", _recipe()
    whole = all(path.exists() for path in vars(material).values())
    if whole and stamp.is_file() and stamp.read_text().strip() == recipe:
        print(f"found the clip and the trained checkpoint in {folder}")
        return material
    stamp.unlink(missing_ok=True)
    # torch takes seconds to import, which a test that finds everything there need not wait for.
    from demo.train import train

    print("rendering a labelled clip and pictures …", flush=True)
    write_clip(material.clip, material.truth)
    write_pictures(material.calibration, per_class=30, seed=100)
    write_pictures(material.evaluation, per_class=40, seed=200)
    material.classes.write_text("".join(f"{label}\n" for label in CLASSES))
    print("training a ResNet-18 from scratch …", flush=True)
    accuracy = train(material.checkpoint)
    print(f"trained: {accuracy:.1%} of held-out pictures right")
    stamp.write_text(f"{recipe}\n")
    return material
