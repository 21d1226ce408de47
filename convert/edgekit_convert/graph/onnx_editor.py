"""Edit an ONNX graph: its nodes and constants."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper


class OnnxEditor:
    """Changes to the main graph of an ONNX model, in place.

    Attributes:
        graph: the GraphProto.
    """

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self._constants = {constant.name: constant for constant in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t

    def constant(self, name: str) -> NDArray[Any] | None:
        """Value of a constant; None for anything computed."""
        tensor = self._constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self.graph.initializer.append(tensor)
        self._constants[name] = tensor
        return name

    def readers(self, name: str) -> list[NodeProto]:
        """Nodes that take a tensor."""
        return [node for node in self.graph.node if name in node.input]

    def writer(self, name: str) -> NodeProto | None:
        """The node that gives a tensor; None for an input or a constant."""
        return next((node for node in self.graph.node if name in node.output), None)

    def insert_before(self, node: NodeProto, *new: NodeProto) -> None:
        """Insert nodes, in their order, before one of the graph."""
        position = list(self.graph.node).index(node)
        for offset, other in enumerate(new):
            self.graph.node.insert(position + offset, other)

    def replace(self, node: NodeProto, *new: NodeProto) -> None:
        """Put nodes in the place of one of the graph."""
        self.insert_before(node, *new)
        self.graph.node.remove(node)

    def rename(self, old: str, new: str) -> None:
        """Call a tensor otherwise, wherever it is written or read."""
        for node in self.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    def prune(self) -> None:
        """Leave out the nodes and constants that no output needs."""
        needed = {value.name for value in self.graph.output}
        for node in reversed(list(self.graph.node)):
            if needed.isdisjoint(node.output):
                self.graph.node.remove(node)
            else:
                needed.update(node.input)
        for constant in list(self.graph.initializer):
            if constant.name not in needed:
                self.graph.initializer.remove(constant)


def attributes(node: NodeProto) -> dict[str, Any]:
    """Attributes of a node by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Set or replace an attribute of a node."""
    for attribute in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, value))
