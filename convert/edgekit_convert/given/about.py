"""What a data set says of itself: its classes, files, and what its transforms do."""

from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.model.manifest import Normalization
from edgekit_convert.given.items import LABELS, is_list
from edgekit_convert.given.loaded import attribute, is_a

# Where wrappers keep what they wrap: Subset, ConcatDataset and DataLoader of PyTorch.
_WRAPPED = ("dataset", "datasets")
# Where data sets keep their transforms, and transforms those that they are made of.
_TRANSFORMS = ("transform", "transforms", "after_item", "after_batch", "fs")
# Those that change pictures at random, beside all that are called so.
_AUGMENTING = frozenset({
    "AugMix", "AutoAugment", "ColorJitter", "CutMix", "ElasticTransform", "FiveCrop",
    "GaussianBlur", "GaussianNoise", "MixUp", "Mixup", "RandAugment", "ScaleJitter", "TenCrop",
    "TrivialAugmentWide",
})  # fmt: skip
_DEPTH = 8


def class_names_of(data: Any) -> list[str] | None:
    """Names of a data set's classes, by its own indices; None where it has none.

    Of torchvision's data sets, Hugging Face's, fastai's loaders, and what wraps them; of several
    joined ones where all have the same.
    """
    found = [names for one in _inside(data) if (names := _names(one))]
    return found[0] if found and all(names == found[0] for names in found) else None


def file_of(data: Any, index: int) -> str | None:
    """The file of a data set's picture, below the data set's folder; None where it has none."""
    if is_a(data, "torch.utils.data", "Subset"):
        return file_of(data.dataset, int(data.indices[index]))
    if is_a(data, "torch.utils.data", "ConcatDataset"):
        part = int(np.searchsorted(data.cumulative_sizes, index, side="right"))
        before = data.cumulative_sizes[part - 1] if part else 0
        return file_of(data.datasets[part], index - before)
    samples = attribute(data, "samples")
    if not is_list(samples) or index >= len(samples):
        return None
    sample = samples[index][0] if is_list(samples[index]) else samples[index]
    if not isinstance(sample, (str, Path)):
        return None
    root, path = attribute(data, "root"), Path(sample)
    if isinstance(root, (str, Path)) and path.is_relative_to(root):
        path = path.relative_to(root)
    return str(path)


def normalization_of(data: Any) -> Normalization | None:
    """What a data set's transforms normalize with, where they say one thing."""
    found = set()
    for one in _transforms(data):
        if type(one).__name__ in ("Normalize", "ImageClassification"):
            mean, std = (_numbers(attribute(one, name)) for name in ("mean", "std"))
            if len(mean) == len(std) == 3:
                found.add(Normalization((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])))
    return found.pop() if len(found) == 1 else None


def crop_of(data: Any) -> float | None:
    """Fraction of a picture's shorter side that a data set's transforms keep.

    Of torchvision's Resize to a side and CenterCrop, one each, or a preset of both; None where they
    say nothing, and 0 where Resize squeezes pictures into a square.
    """
    resized, cropped = [], []
    for one in _transforms(data):
        name = type(one).__name__
        if not type(one).__module__.startswith("torchvision."):
            continue  # others mean other things by the same names
        if name in ("Resize", "ImageClassification"):
            resized.append(_numbers(attribute(one, "size") or attribute(one, "resize_size")))
        if name in ("CenterCrop", "ImageClassification"):
            cropped.append(_numbers(attribute(one, "size") or attribute(one, "crop_size")))
    if len(resized) != 1 or len(cropped) > 1 or not resized[0]:
        return None
    if len(resized[0]) == 2 and resized[0][0] == resized[0][1]:
        return 0.0
    whole = len(resized[0]) == 1 and len(cropped) == 1 and cropped[0]
    return min(1.0, cropped[0][0] / resized[0][0]) if whole else None


def augmentations_of(data: Any) -> list[str]:
    """Names of a data set's transforms that change pictures at random."""
    # fastai's do so in training alone, and are in the other loader as well.
    bases = _AUGMENTING if attribute(data, "split_idx") == 1 else {*_AUGMENTING, "RandTransform"}
    return list(
        dict.fromkeys(
            type(one).__name__
            for one in _transforms(data)
            if type(one).__name__.startswith("Random")
            or bases & {base.__name__ for base in type(one).__mro__}
        )
    )


def _inside(data: Any, depth: int = 0) -> Iterator[Any]:
    """A data set, and those that it wraps."""
    yield data
    if depth == _DEPTH:
        return
    for name in _WRAPPED:
        wrapped = attribute(data, name)
        for one in wrapped if is_list(wrapped) else [wrapped]:
            if one is not None:
                yield from _inside(one, depth + 1)


def _transforms(data: Any) -> list[Any]:
    """Transforms of a data set and of what it wraps, each once."""
    found = (part for one in _inside(data) for part in _parts(one))
    return list({id(part): part for part in found}.values())


def _parts(transform: Any, depth: int = 0) -> Iterator[Any]:
    """Transforms that a transform, or a data set, is made of, and those of these."""
    if depth == _DEPTH:
        return
    for name in _TRANSFORMS:
        parts = attribute(transform, name)
        # Lists are those of fastai and of PyTorch's modules, too.
        several = isinstance(parts, Iterable) and isinstance(parts, Sized)
        for part in parts if several else [parts]:
            if part is not None and not isinstance(part, str):
                yield part
                yield from _parts(part, depth + 1)


def _names(data: Any) -> list[str] | None:
    indices, classes = attribute(data, "class_to_idx"), attribute(data, "classes")
    if isinstance(indices, Mapping) and all(isinstance(one, int) for one in indices.values()):
        if sorted(indices.values()) == list(range(len(indices))):
            return _texts(sorted(indices, key=indices.__getitem__))
        # torchvision's ImageNet has several names for a class. Other gaps mean that labels are no
        # places in the list of names.
        whole = is_list(classes) and set(indices.values()) == set(range(len(classes)))
        return _texts(classes) if whole else None
    features = attribute(data, "features")
    if isinstance(features, Mapping):
        label = next((features[name] for name in LABELS if name in features), None)
        return _texts(attribute(label, "names"))
    return _texts(classes) or _texts(attribute(data, "vocab"))


def _texts(names: Any) -> list[str] | None:
    """Names where they are a list of texts, or of texts that mean the same."""
    if names is None or isinstance(names, (str, Mapping)) or not hasattr(names, "__len__"):
        return None
    firsts = [name[0] if isinstance(name, tuple) and name else name for name in names]
    return firsts if firsts and all(isinstance(name, str) for name in firsts) else None


def _numbers(values: Any) -> list[float]:
    """Of an array, a tensor or a list; nothing of anything else."""
    try:
        return [round(float(value), 9) for value in np.reshape(np.asarray(values), -1)]
    except (TypeError, ValueError):
        return []
