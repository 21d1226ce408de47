"""What pyproject.toml cannot say: see shared_setup.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared_setup import set_up

set_up(__file__)
