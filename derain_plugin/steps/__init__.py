"""Run commands that need each other: several at once, each only once, stopped at any time."""

from derain_plugin.steps.run_steps import StepError, run_steps
from derain_plugin.steps.schedule import steps_left, time_needed
from derain_plugin.steps.step import ROOT, Step

__all__ = ["ROOT", "Step", "StepError", "run_steps", "steps_left", "time_needed"]
