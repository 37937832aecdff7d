"""Measure the start of a training; --help says how."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # projects/ is in no wheel

from derain_command import run

if __name__ == "__main__":
    run("benchmark_train_start", package="projects.benchmark.cli")
