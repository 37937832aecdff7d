"""Show the whole story on embedded data: the command line of ``tools/demo.py``."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.demo.plan import CONTROL, DERAINED, VANILLA, Plan
from derain_plugin.demo.report import write_report
from derain_plugin.demo.run_steps import StepError, run_steps
from derain_plugin.rain.seeding import RENDERER_VERSION
from derain_plugin.toy.coco_folder import TOY_VERSION
from derain_plugin.version import __version__

DESCRIPTION = """\
Train and compare on data that the project makes itself: a vanilla toy RT-DETR on clean pictures,
the same with the multi-scale de-rain neck in two phases, and the control that is fine-tuned on the
same rainy mix without a neck. Prints one table, and leaves it with a picture grid and learning
curves in the work dir. About 15 minutes on 2 CPU cores. Stop it at any time: started again, it
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
    plan = Plan(Path(args.work_dir).resolve(), Path(args.data).resolve())
    if not plan.configs.is_dir():
        sys.exit(f"the demo needs a checkout of the repository: there is no {plan.configs}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the running step ends too
    try:
        seconds = run_steps(plan.stages, plan.folder, settings=_settings(plan))
    except (StepError, ValueError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; run the demo again to continue")
    print(f"\n{write_report(plan, seconds=seconds)}")
    print(f"report.md, report.json and the pictures are in {plan.folder}")


def _settings(plan: Plan) -> str:
    """Everything that decides the result, but for the code."""
    configs = [plan.load(name).to_dict() for name in (VANILLA, DERAINED, CONTROL)]
    versions = [__version__, TOY_VERSION, RENDERER_VERSION]
    text = json.dumps([versions, configs], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
