"""The device side of edgekit: frames in, labels out."""
