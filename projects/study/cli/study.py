"""Run the study of what de-raining adds: the command line of ``tools/study.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from projects.study.arms import ARMS, EMBEDDED, FAMILIES, find_arms
from projects.study.real import arms as real
from projects.study.steps import Step, run_or_exit, time_needed
from projects.study.steps.progress import clock
from projects.study.steps.run_steps import unfinished_steps

DESCRIPTION = """\
Train, test and compare all arms of the study, and write its report. What is kept of a finished arm
and seed is one json below --results; where it is there and its configs are still the same, nothing
of it runs again. Stop it at any time: started again, it continues where it was.
"""
EPILOG = f"""\
Arms ({", ".join(arm.name for arm in ARMS if arm.decides)} run with every seed, others with the first):
{chr(10).join(f"  {arm.name:<16}{arm.title}" for arm in ARMS)}

Examples:
  python tools/study.py --plan                          # what would run, and how long
  python tools/study.py --jobs 2
  python tools/study.py --split val --arms control ms --seeds 11     # choose variants
  python tools/study.py --family coco --data data/coco --jobs 1
  python tools/study.py --family real --data data/real               # photographs of real weather
  python tools/study.py --family real --data data/real --report      # once, when all is chosen

Arms of the family real:
{chr(10).join(f"  {arm.name:<16}{arm.title}" for arm in real.ARMS)}
"""  # noqa: E501


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what to run, and where."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="some arms; default all")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED",
        help="training seeds; default 1 2 3. All start from one vanilla detector, of seed 0",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=["test", "val"], default="test",
        help="val to choose among variants; test, the default, is looked at once",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N",
        help="commands that run at once and share the cores; 1 on a GPU. Default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--family", choices=[*FAMILIES, real.REAL], default=EMBEDDED,
        help="detector and data: study's own, the published RT-DETR-R18, or YOLOX-nano on "
        "photographs of real weather; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path,
        help="default the data_root of the configs; real: must be named, see docs/real_rain.md",
    )  # fmt: skip
    parser.add_argument(
        "--report",
        action="store_true",
        help="real: also measure on the sets that nothing is chosen by",
    )
    parser.add_argument(
        "--control", choices=[arm.name for arm in real.ARMS], default=real.CONTROL, metavar="ARM",
        help="real: what arms are compared with beside vanilla; default %(default)s",
    )  # fmt: skip
    parser.add_argument("--work-dir", type=Path, help="default work_dirs/<family>")
    parser.add_argument("--results", type=Path, help="default projects/study/results/<family>")
    parser.add_argument(
        "--docs",
        type=Path,
        help="folder of the report; default --results, and docs for the family real",
    )
    parser.add_argument("--plan", action="store_true", help="only say what would run")
    args = parser.parse_args(arguments)
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        parser.error(f"--seeds must differ and not be negative, got {args.seeds}")
    if args.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {args.jobs}")
    if args.report and args.family != real.REAL:
        parser.error("--report is for --family real")
    if args.family == real.REAL and args.split != "test":
        parser.error("--split is for other families: real chooses by its own sets, see --report")
    if args.family == real.REAL and args.data is None:
        parser.error("--family real needs --data: the folder that docs/real_rain.md describes")
    every, find = (real.ARMS, real.find_arms) if args.family == real.REAL else (ARMS, find_arms)
    try:
        args.arms = list(every) if args.arms is None else find(args.arms)
    except ValueError as error:
        parser.error(f"--arms: {error}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, or what is left of it."""
    args = parse_args(arguments)
    import derain_plugin  # what takes long to load, for --help

    derain_plugin.register_all_modules()
    folder = (args.work_dir or Path("work_dirs", args.family)).resolve()
    results = (args.results or Path("projects/study/results", args.family)).resolve()
    plan = _plan_real if args.family == real.REAL else _plan
    try:
        steps, report = plan(args, folder, results)
        left = unfinished_steps(steps, folder)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(_describe(left, jobs=args.jobs)), flush=True)
    if args.plan:
        return
    run_or_exit(steps, folder, jobs=args.jobs)
    try:
        print(f"\n{report()}")
    except ValueError as error:
        sys.exit(f"error: {error}")


def _plan(
    args: argparse.Namespace, folder: Path, results: Path
) -> tuple[list[Step], Callable[[], str]]:
    """Return the steps, and what writes the report."""
    from projects.study import report
    from projects.study.layout import Layout
    from projects.study.plan import plan_steps

    layout = Layout(args.family, folder, results, args.split, args.data)
    steps = plan_steps(layout, args.arms, args.seeds)
    docs = args.docs or results

    def write() -> str:
        own = args.family == EMBEDDED
        data = "this self-made data" if own else f"the data in {layout.data.name}"
        return report.write_report(results, docs, split=layout.split, data=data)

    return steps, write


def _plan_real(
    args: argparse.Namespace, folder: Path, results: Path
) -> tuple[list[Step], Callable[[], str]]:
    """Do the same for photographs of real weather."""
    from projects.study.real.plan import RealLayout, plan_steps
    from projects.study.real.report import write_report

    layout = RealLayout(args.data.resolve(), folder, results, args.report)
    steps = plan_steps(layout, args.arms, args.seeds)
    docs = args.docs or (results if args.results else Path("docs"))
    return steps, lambda: write_report(results, docs, control=args.control)


def _describe(left: Sequence[Step], *, jobs: int) -> list[str]:
    seconds = {step.name: step.seconds for step in left}
    total = clock(time_needed(left, seconds, jobs=jobs))
    lines = [f"  {clock(step.seconds):>8}  {step.name}" for step in left]
    return [*lines, f"{len(left)} commands left, about {total} with {jobs} at once"]
