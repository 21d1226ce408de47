"""Whether the network is fed as it was in training, by what its BatchNorm layers remember."""
