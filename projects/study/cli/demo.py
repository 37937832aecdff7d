"""Show the whole story on embedded data: the command line of ``tools/demo.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from projects.study.steps import run_or_exit

DESCRIPTION = """\
Adapt a detector to rain on data that the project makes itself: train a vanilla toy RT-DETR on clean
images, adapt it to rain by tools/adapt.py without labels, and, beside it, fine-tune it on rainy
images with labels, the control. Prints one table, and leaves it with an image grid and learning
curves in the work dir. About 10 minutes on 2 CPU cores. Stop it at any time: started again, it
continues where it was.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse where to work."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work-dir", default="work_dirs/demo", help="default: %(default)s")
    parser.add_argument(
        "--data", default="data/toy_coco", help="made there if needed; default: %(default)s"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo, or what is left of it."""
    args = parse_args(arguments)
    from projects.study.demo.plan import JOBS, Plan  # what takes long to load, for --help

    plan = Plan(Path(args.work_dir).resolve(), Path(args.data).resolve())
    if not plan.configs.is_dir():
        sys.exit(f"the demo needs a checkout of the repository: there is no {plan.configs}")
    seconds = run_or_exit(plan.steps, plan.folder, jobs=JOBS)
    import derain_plugin
    from projects.study.demo.report import write_report

    derain_plugin.register_all_modules()
    print(f"\n{write_report(plan, seconds=seconds)}")
    print(f"report.md, report.json and the images are in {plan.folder}")
