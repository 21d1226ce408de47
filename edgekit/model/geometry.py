"""How much of a frame the model sees, and at what size."""

import msgspec


class Geometry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a frame becomes the model's picture.

    Attributes:
        height, width: size of the model's input, in pixels.
        crop: part of the largest centred rectangle of the model's aspect that is kept, in (0, 1].
            torchvision's "resize to 256, crop 224" is 224 / 256.
    """

    height: int
    width: int
    crop: float = 1.0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"input size {self.width}x{self.height} is not positive")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop {self.crop} is not in (0, 1]")

    def centre_of(self, frame_height: int, frame_width: int) -> tuple[int, int]:
        """Height and width, in pixels, of the middle part of a frame that is kept."""
        scale = min(frame_height / self.height, frame_width / self.width) * self.crop
        height = min(frame_height, max(1, round(self.height * scale)))
        width = min(frame_width, max(1, round(self.width * scale)))
        return height, width
