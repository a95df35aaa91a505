"""The model with planted rules is part of the benchmarks, which stand in the root of the repository."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
