"""The whole story on embedded data: train, rain, de-rain, control, and one table."""

from derain_plugin.demo.plan import Plan
from derain_plugin.demo.report import write_report

__all__ = ["Plan", "write_report"]
