"""Run commands that need each other: several at once, each only once, stopped at any time."""

from projects.study.steps.run_steps import StepError, run_or_exit, run_steps
from projects.study.steps.schedule import ROOT, Step, steps_left, time_needed

__all__ = ["ROOT", "Step", "StepError", "run_or_exit", "run_steps", "steps_left", "time_needed"]
