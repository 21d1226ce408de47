"""The shapes that operators give which move values, or cut and join them; see `shapes`."""

import math

from edgekit.model.shapes import Node, Shape, Shapes, axis_of, common_shape, ranked


def reshape(node: Node) -> Shapes:
    """Input, and its new shape as a constant or an option; one size of -1 is what is left."""
    shape = node.shape(0)
    second = node.inputs[1] if len(node.inputs) > 1 else None
    wanted = node.constant(1) if second else tuple(node.operator.options.get("new_shape", ()))
    if shape is None or wanted is None:
        return [None]
    if wanted == (0,):  # A scalar, in old files.
        wanted = ()
    known = math.prod(size for size in wanted if size != -1)
    if min(wanted, default=0) < -1 or wanted.count(-1) > 1:
        raise node.fail(f"wants the shape {list(wanted)}")
    if -1 in wanted and known:
        wanted = tuple(math.prod(shape) // known if size == -1 else size for size in wanted)
    if math.prod(wanted) != math.prod(shape):
        raise node.fail(f"makes {list(wanted)} of {list(shape)}")
    return [wanted]


def squeeze(node: Node) -> Shapes:
    """Leaves dimensions of 1 out: those of the option, or all."""
    shape = node.shape(0)
    if shape is None:
        return [None]
    wanted = node.operator.options.get("squeeze_dims", ())
    axes = [axis_of(node, axis, len(shape)) for axis in wanted] or [
        axis for axis, size in enumerate(shape) if size == 1
    ]
    if any(shape[axis] != 1 for axis in axes):
        raise node.fail(f"cannot leave {list(wanted)} of {list(shape)} out")
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def expand(node: Node) -> Shapes:
    """Input, and where a dimension of 1 is put in."""
    shape, axis = node.shape(0), node.constant(1)
    if shape is None or not axis:
        return [None]
    at = axis_of(node, axis[0], len(shape) + 1)
    return [(*shape[:at], 1, *shape[at:])]


def transpose(node: Node) -> Shapes:
    """Input, and the order of its dimensions."""
    shape, order = node.shape(0), node.constant(1)
    if shape is None or order is None:
        return [None]
    if sorted(order) != list(range(len(shape))):
        raise node.fail(f"has the order {list(order)} for {len(shape)} dimensions")
    return [tuple(shape[axis] for axis in order)]


def pad(node: Node) -> Shapes:
    """Input, and how much comes before and behind each dimension, (rank, 2)."""
    shape, amounts = node.shape(0), node.constant(1)
    if shape is None or amounts is None:
        return [None]
    if len(amounts) != 2 * len(shape) or min(amounts, default=0) < 0:
        raise node.fail(f"adds {list(amounts)} to an input {list(shape)}")
    return [tuple(size + sum(amounts[2 * n : 2 * n + 2]) for n, size in enumerate(shape))]


def mirror_pad(node: Node) -> Shapes:
    """As `pad`, with the input's own values: no more of them than it has."""
    (found,) = pad(node)
    shape, amounts = node.shape(0), node.constant(1)
    if found and shape and amounts:
        # A mirror on the border's own pixels leaves these out.
        edge = 1 - node.option("mode")
        if any(amount > shape[n // 2] - edge for n, amount in enumerate(amounts)):
            raise node.fail(f"adds {list(amounts)} to an input {list(shape)}")
    return [found]


def concatenation(node: Node) -> Shapes:
    """Inputs that differ along one axis alone."""
    if any(shape is None for shape in node.shapes):
        return [None]
    shapes = [shape for shape in node.shapes if shape is not None]
    axis = axis_of(node, node.option("axis"), len(shapes[0]))
    if len({(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}) > 1:
        raise node.fail("has inputs of shapes that do not fit each other")
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def pack(node: Node) -> Shapes:
    """Inputs of one shape, as one more dimension."""
    first = node.shape(0)
    if node.option("values_count") != len(node.inputs) or len(set(node.shapes) - {None}) > 1:
        raise node.fail("has inputs that do not fit each other")
    if first is None:
        return [None]
    at = axis_of(node, node.option("axis"), len(first) + 1)
    return [(*first[:at], len(node.inputs), *first[at:])]


def unpack(node: Node) -> Shapes:
    """The parts of an input along an axis."""
    shape, number = node.shape(0), len(node.outputs)
    if node.option("num") != number:
        raise node.fail(f"has {number} outputs for {node.option('num')} parts")
    if shape is None:
        return [None] * number
    at = axis_of(node, node.option("axis"), len(shape))
    if shape[at] != number:
        raise node.fail(f"makes {number} parts of {list(shape)}")
    return [shape[:at] + shape[at + 1 :]] * number


def _parts(node: Node, shape: Shape | None, axis: Shape | None, sizes: Shape | None) -> Shapes:
    """An input cut along an axis into parts of these sizes, or of equal ones."""
    number = len(node.outputs)
    if node.option("num_splits") != number:
        raise node.fail(f"has {number} outputs for {node.option('num_splits')} parts")
    if shape is None or not axis or sizes is None:
        return [None] * number
    at = axis_of(node, axis[0], len(shape))
    sizes = sizes or (shape[at] // number,) * number
    left = shape[at] - sum(size for size in sizes if size != -1)
    sizes = tuple(left if size == -1 else size for size in sizes)
    if len(sizes) != number or min(sizes) < 0 or sum(sizes) != shape[at]:
        raise node.fail(f"makes {number} parts of {list(shape)}")
    return [(*shape[:at], size, *shape[at + 1 :]) for size in sizes]


def split(node: Node) -> Shapes:
    """Axis, and an input to be cut into equal parts."""
    return _parts(node, node.shape(1), node.constant(0), ())


def split_by_sizes(node: Node) -> Shapes:
    """Input, sizes of its parts, axis."""
    return _parts(node, node.shape(0), node.constant(2), node.constant(1))


def part(node: Node) -> Shapes:
    """Input, where the part begins, how large it is; -1 is up to the end."""
    shape, begin, size = node.shape(0), node.constant(1), node.constant(2)
    if shape is None or begin is None or size is None:
        return [None]
    if len(begin) != len(shape) or len(size) != len(shape):
        raise node.fail(f"has no beginning and size for each dimension of {list(shape)}")
    wanted = tuple(
        whole - first if number == -1 else number
        for whole, first, number in zip(shape, begin, size, strict=True)
    )
    if any(
        first < 0 or number < 0 or first + number > whole
        for whole, first, number in zip(shape, begin, wanted, strict=True)
    ):
        raise node.fail(f"takes {list(size)} from {list(begin)} on, of {list(shape)}")
    return [wanted]


def strided_part(node: Node) -> Shapes:
    """Input, begin, end and stride of each dimension; what is beyond it is cut off."""
    shape, lists = node.shape(0), [node.constant(number) for number in (1, 2, 3)]
    if shape is None or None in lists:
        return [None]
    begins, ends, strides = (one for one in lists if one is not None)
    if not len(begins) == len(ends) == len(strides) or 0 in strides:
        raise node.fail("has no beginning, end and stride for each dimension")
    if node.option("ellipsis_mask") or node.option("new_axis_mask"):
        return [None]
    if len(begins) > len(shape):
        raise node.fail(f"has a beginning for {len(begins)} dimensions of {list(shape)}")
    found = []
    for n, (size, begin, end, stride) in enumerate(zip(shape, begins, ends, strides, strict=False)):
        # What is beyond these is cut off; backwards, the end lies one before the first.
        low, high = (0, size) if stride > 0 else (-1, size - 1)
        begin = min(max(begin + size * (begin < 0), low), high)
        end = min(max(end + size * (end < 0), low), high)
        if node.option("begin_mask") >> n & 1:
            begin = low if stride > 0 else high
        if node.option("end_mask") >> n & 1:
            end = high if stride > 0 else low
        if node.option("shrink_axis_mask") >> n & 1:
            if not 0 <= begin < size or stride < 0:
                raise node.fail(f"takes the index {begins[n]} of {list(shape)}")
            continue
        found.append(max(0, -(-(end - begin) // stride)))
    return [(*found, *shape[len(begins) :])]


def largest(node: Node) -> Shapes:
    """Input, and how many of its largest values are wanted; these, and their indices."""
    shape, number = node.shape(0), node.constant(1)
    if shape is None or not number:
        return [None, None]
    if not shape or not 0 < number[0] <= shape[-1]:
        raise node.fail(f"wants {number[0]} values of {list(shape)}")
    return [(*shape[:-1], number[0])] * 2


def gather(node: Node) -> Shapes:
    """Input, and the indices that are taken along an axis."""
    shape, places, indices = node.shape(0), node.shape(1), node.constant(1)
    if shape is None or places is None:
        return [None]
    at, batch = axis_of(node, node.option("axis"), len(shape)), node.option("batch_dims")
    batch = batch + len(places) if batch < 0 else batch
    if not 0 <= batch <= min(at, len(places)) or shape[:batch] != places[:batch]:
        raise node.fail(f"takes {list(places)} of {list(shape)}, {batch} at once")
    if indices and not 0 <= min(indices) <= max(indices) < shape[at]:
        raise node.fail(f"has indices that {list(shape)} has not")
    return [(*shape[:at], *places[batch:], *shape[at + 1 :])]


def tile(node: Node) -> Shapes:
    """Input, and how often it is repeated."""
    shape, times = node.shape(0), node.constant(1)
    if shape is None or times is None:
        return [None]
    if len(times) != len(shape) or min(times, default=0) < 0:
        raise node.fail(f"repeats {list(shape)} {list(times)} times")
    return [tuple(size * number for size, number in zip(shape, times, strict=True))]


def broadcast_to(node: Node) -> Shapes:
    """Input, and the shape that it is repeated to."""
    shape, wanted = node.shape(0), node.constant(1)
    if shape is None or wanted is None:
        return [None]
    if common_shape(node, [shape, wanted]) != wanted:
        raise node.fail(f"makes {list(wanted)} of {list(shape)}")
    return [wanted]


def fill(node: Node) -> Shapes:
    """The shape, and the value that fills it."""
    wanted = node.constant(0)
    if wanted and min(wanted) < 0:
        raise node.fail(f"wants the shape {list(wanted)}")
    return [wanted]


def resize(node: Node) -> Shapes:
    """Input (N, H, W, C), and its new height and width."""
    picture, size = ranked(node, 0, 4), node.constant(1)
    if picture is None or size is None:
        return [None]
    if len(size) != 2 or min(size) < 1:
        raise node.fail(f"wants a picture of {list(size)}")
    return [(picture[0], *size, picture[3])]


def space_to_depth(node: Node) -> Shapes:
    """Input (N, H, W, C)."""
    picture, block = ranked(node, 0, 4), node.option("block_size")
    if picture is None:
        return [None]
    if picture[1] % block or picture[2] % block:
        raise node.fail(f"has blocks of {block} in a picture {list(picture)}")
    return [(picture[0], picture[1] // block, picture[2] // block, picture[3] * block**2)]


def depth_to_space(node: Node) -> Shapes:
    """Input (N, H, W, C)."""
    picture, block = ranked(node, 0, 4), node.option("block_size")
    if picture is None:
        return [None]
    if picture[3] % block**2:
        raise node.fail(f"has blocks of {block} in a picture {list(picture)}")
    return [(picture[0], picture[1] * block, picture[2] * block, picture[3] // block**2)]


def rank_of(node: Node) -> Shapes:
    """The sizes of an input, as a list."""
    shape = node.shape(0)
    return [None if shape is None else (len(shape),)]
