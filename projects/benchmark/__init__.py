"""What de-raining costs beside the detector: time, memory, FLOPs, training throughput."""

from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
"""The detectors that are compared."""
