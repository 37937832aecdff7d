"""Run commands that need each other: several at once, each only once, stopped at any time."""

from projects.study.steps.run_steps import StepError, run_steps
from projects.study.steps.schedule import steps_left, time_needed
from projects.study.steps.step import ROOT, Step

__all__ = ["ROOT", "Step", "StepError", "run_steps", "steps_left", "time_needed"]
