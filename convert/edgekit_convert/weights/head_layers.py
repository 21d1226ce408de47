"""What `--head` may say: the layers of a head, in their order. Without PyTorch, for the command."""

LINEAR, BATCHNORM = "linear", "batchnorm"
# The state dict holds the tensors of these.
WEIGHTED = (LINEAR, BATCHNORM)
# These leave no trace in it: the class in torch.nn of each. All become operators that int8 has.
WEIGHTLESS = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "gelu": "GELU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "dropout": "Dropout",
    "identity": "Identity",
}
# What to do where a state dict does not say enough, or says that it is another network's.
INSTEAD = (
    "convert the network itself: edgekit_convert.convert(model, …) in Python, or export it to ONNX "
    "and pass it with --onnx"
)
# At the end they change nothing: every model file ends in a softmax.
_ENDINGS = ("softmax", "log_softmax")


def parse_head(text: str) -> tuple[str, ...]:
    """Layers of a text such as `linear, tanh, dropout, linear`.

    Raises:
        ValueError: says what is wrong in it.
    """
    layers = [word.strip().lower() for word in text.split(",")]
    if layers[-1] in _ENDINGS:
        layers.pop()
    for layer in layers:
        if layer not in (*WEIGHTED, *WEIGHTLESS):
            known = ", ".join((*WEIGHTED, *WEIGHTLESS))
            raise ValueError(f"{layer!r} is none of the layers that an int8 head can have: {known}")
    if not layers or layers[-1] != LINEAR:
        raise ValueError("a head ends in linear (a softmax behind it may be named, or not)")
    return tuple(layers)
