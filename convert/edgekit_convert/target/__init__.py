"""The device: memory, the Edge TPU, and the metadata that other programs read."""
