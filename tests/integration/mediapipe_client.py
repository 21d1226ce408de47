"""A client of a model file that knows MediaPipe and nothing of edgekit.

It runs in an environment of its own and prints JSON lines:

    mediapipe_client.py describe MODEL            its metadata, as MediaPipe's schema reads it
    mediapipe_client.py classify MODEL PICTURES   the best class of every picture of PICTURES, a
                                                  NumPy file of (N, H, W, 3) uint8 RGB
"""

import json
import sys
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions, vision


def _plain(value: Any) -> Any:
    """What json can write, without the fields that are absent."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if hasattr(value, "__dict__"):
        return {name: _plain(each) for name, each in vars(value).items() if each is not None}
    return value


def describe(model: str) -> None:
    """Print the metadata."""
    content = schema.ModelT.InitFromPackedBuf(Path(model).read_bytes(), 0)
    (entry,) = [entry for entry in content.metadata if entry.name == b"TFLITE_METADATA"]
    raw = bytes(content.buffers[entry.buffer].data)
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(raw, 0)
    print(json.dumps(_plain(metadata_schema.ModelMetadataT.InitFromPackedBuf(raw, 0))))


def classify(model: str, pictures: str) -> None:
    """Print index, name and score of the best class of each picture."""
    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=model), max_results=1
    )
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for picture in np.load(pictures):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
            (head,) = classifier.classify(image).classifications
            (best,) = head.categories
            answer = {"index": best.index, "name": best.category_name, "score": best.score}
            print(json.dumps(answer))


if __name__ == "__main__":
    {"describe": describe, "classify": classify}[sys.argv[1]](*sys.argv[2:])
