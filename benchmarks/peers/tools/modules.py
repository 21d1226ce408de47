"""A network as a PyTorch module."""

import torch

from benchmarks.peers.tools.serving import Network


def exported(network: Network) -> torch.nn.Module:
    """As it was trained; through onnx2torch where there is an ONNX file alone."""
    if not network.program.is_file():
        return rebuilt(network)
    found: torch.nn.Module = torch.export.load(network.program).module()
    # An exported program refuses to be told what it is already.
    found.train = lambda mode=True: found  # type: ignore[method-assign, assignment, misc]
    return found


def rebuilt(network: Network) -> torch.nn.Module:
    """Of the ONNX file, by onnx2torch: layer by layer, as quantizers look for them."""
    # torchvision, which onnx2torch imports, may be built for another PyTorch than that of a CPU.
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import onnx
    import onnx2torch

    model = onnx.load(network.onnx)
    # What onnx2torch knows: ReduceMean until 17, BatchNormalization from 9.
    version = model.opset_import[0].version
    if version != (known := min(max(version, 13), 17)):
        model = onnx.version_converter.convert_version(model, known)
    for node in model.graph.node:
        # Its Reshape looks at values, which no exporter can follow; after a mean it is a Flatten.
        if node.op_type == "Reshape":
            flatten = onnx.helper.make_node("Flatten", node.input[:1], node.output, axis=1)
            node.CopyFrom(flatten)
    return onnx2torch.convert(model).eval()
