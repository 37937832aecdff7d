"""The whole story on embedded data: train, rain, de-rain, control, and one table."""

from derain_plugin.demo.plan import Plan
from derain_plugin.demo.report import write_report
from derain_plugin.demo.run_steps import run_steps

__all__ = ["Plan", "run_steps", "write_report"]
