"""How torchvision's published weights look at a picture."""

# What they are called, with `-v1` or `-v2` behind it where it matters.
IMAGENET = "imagenet"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# torchvision evaluates the V1 weights on the central 224 of 256 pixels, V2 on 224 of 232.
IMAGENET_CROPS = {1: 224 / 256, 2: 224 / 232}
