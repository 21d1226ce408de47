"""The workstation side of edgekit: PyTorch ResNets to int8 TFLite."""
