"""Measure every size of the RT-DETR family behind a neck; --help says how."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # projects/ is in no wheel

from derain_command import run

if __name__ == "__main__":
    run("benchmark_families", package="projects.benchmark.cli")
