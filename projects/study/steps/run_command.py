"""Run steps on behalf of a command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from projects.study.steps.run_steps import StepError, run_steps
from projects.study.steps.step import Step


def run_or_exit(steps: Sequence[Step], folder: Path, *, jobs: int) -> dict[str, float]:
    """Call :func:`run_steps`; its errors, Ctrl-C and SIGTERM end the program with a message.

    The steps that run are ended then, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run_steps(steps, folder, jobs=jobs)
    except (StepError, ValueError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; run the same command again to continue")
