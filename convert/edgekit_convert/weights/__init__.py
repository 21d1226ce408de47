"""What the user brings: a checkpoint, and the network that it belongs to."""
