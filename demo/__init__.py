"""The main job on made-up material: a rendered clip, a small trained ResNet-18, and the kit.

`python -m demo` is what `make demo` runs. The tests use the same clip and checkpoint.
"""
