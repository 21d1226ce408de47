"""Pictures that a user has in Python: arrays, tensors, data sets, loaders, and streams of them."""
