"""The whole story on embedded data: train, rain, de-rain, control, and one table."""

from projects.study.demo.plan import Plan
from projects.study.demo.report import write_report

__all__ = ["Plan", "write_report"]
