"""The network as a graph: exported, folded to take raw pixels, lowered to float TFLite, run."""
