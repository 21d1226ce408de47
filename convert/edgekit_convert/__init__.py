"""The workstation side of edgekit: PyTorch ResNets to int8 TFLite."""

import os

# Several libraries and onnx2tf's process share the processor, so threads without work have to sleep
# and not to spin. PyTorch and NumPy read this when they are loaded; a user's own setting stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
