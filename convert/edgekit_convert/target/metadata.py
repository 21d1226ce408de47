"""TFLite Metadata: what a model takes and answers, for tools that do not know edgekit.

The standard for it is TFLite Support's `metadata_schema.fbs`, now kept by MediaPipe. Its
description is a flatbuffer of its own, in a buffer of the model that the entry `TFLITE_METADATA`
names. The label file that it refers to is in the zip that `edgekit.model.container.pack` appends.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.model.container import LABELS
from edgekit_convert.graph.flatbuffer import FlatbufferEditor

ENTRY = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
# The oldest parser that knows every field used here: none is younger than the schema's first.
_MIN_PARSER_VERSION = "1.0.0"

# Fields of each table, in the schema's order, up to the last that is used. A union takes the place
# of two: the type of its value, and the value.
_FIELDS = {
    "ModelMetadata": (
        "name", "description", "version", "subgraph_metadata", "author", "license",
        "associated_files", "min_parser_version",
    ),
    "SubGraphMetadata": ("name", "description", "input_tensors", "output_tensors"),
    "TensorMetadata": (
        "name", "description", "dimension_names", "content", "process_units", "stats",
        "associated_files",
    ),
    "Content": ("properties_type", "properties"),
    "ImageProperties": ("color_space",),
    "FeatureProperties": (),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    "Stats": ("max", "min"),
    "AssociatedFile": ("name", "description", "type"),
}  # fmt: skip
# Numbers from the schema's enumerations and unions.
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_NORMALIZATION_OPTIONS = 1
_RGB = 1
_TENSOR_AXIS_LABELS = 2


class _Table:
    """A table of the schema: texts, lists of numbers, tables, lists of tables, enumerators."""

    def __init__(self, kind: str, **values: Any) -> None:
        self.fields = _FIELDS[kind]
        self.values = values

    def write(self, builder: Any) -> int:
        """Append the table to a flatbuffer, its children first, and return where it is."""
        places = {
            field: value if isinstance(value, int) else _write(builder, value)
            for field, value in self.values.items()
        }
        builder.StartObject(len(self.fields))
        for field, place in places.items():
            number = self.fields.index(field)
            if isinstance(self.values[field], int):
                builder.PrependInt8Slot(number, place, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(number, place, 0)
        end: int = builder.EndObject()
        return end


def _write(builder: Any, value: Any) -> Any:
    if isinstance(value, _Table):
        return value.write(builder)
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value[0], float):
        return builder.CreateNumpyVector(np.array(value, np.float32))
    places = [table.write(builder) for table in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def _input() -> _Table:
    """The input tensor: raw pixels, whatever the type; normalization is within the model."""
    return _Table(
        "TensorMetadata",
        name="image",
        description="RGB picture, raw pixel values from 0 to 255",
        content=_Table(
            "Content",
            properties_type=_IMAGE_PROPERTIES,
            properties=_Table("ImageProperties", color_space=_RGB),
        ),
        process_units=[
            _Table(
                "ProcessUnit",
                options_type=_NORMALIZATION_OPTIONS,
                options=_Table("NormalizationOptions", mean=[0.0], std=[1.0]),
            )
        ],
        stats=_Table("Stats", max=[255.0], min=[0.0]),
    )


def _output() -> _Table:
    return _Table(
        "TensorMetadata",
        name="probability",
        description="Probability of each class",
        content=_Table(
            "Content",
            properties_type=_FEATURE_PROPERTIES,
            properties=_Table("FeatureProperties"),
        ),
        stats=_Table("Stats", max=[1.0], min=[0.0]),
        associated_files=[
            _Table(
                "AssociatedFile",
                name=LABELS,
                description="Class names in the order of the probabilities, one a line",
                type=_TENSOR_AXIS_LABELS,
            )
        ],
    )


def _metadata(name: str, description: str) -> bytes:
    root = _Table(
        "ModelMetadata",
        name=name,
        description=description,
        subgraph_metadata=[
            _Table("SubGraphMetadata", input_tensors=[_input()], output_tensors=[_output()])
        ],
        min_parser_version=_MIN_PARSER_VERSION,
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.write(builder), IDENTIFIER)
    return bytes(builder.Output())


def with_metadata(flatbuffer: bytes, *, name: str, description: str) -> bytes:
    """Give an image classifier its TFLite Metadata, in place of any that it has.

    Args:
        flatbuffer: a model of one input, which takes raw RGB pixels, and one output, the
            probabilities.
        name: of the model.
        description: of the model.
    """
    editor = FlatbufferEditor(flatbuffer)
    model = editor.model
    entry = next((entry for entry in model.metadata or [] if entry.name == ENTRY), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = ENTRY, len(model.buffers)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(schema.BufferT())
    model.buffers[entry.buffer].data = np.frombuffer(_metadata(name, description), np.uint8)
    return editor.pack()
