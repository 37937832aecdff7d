"""All that the study's report needs of one arm and training seed, in one json.

Run as ``python -m projects.study.record``, after ``tools/test.py --out``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from derain_plugin.cli.machine import describe_machine
from derain_plugin.config import load_config
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.saved_predictions import load_predictions
from derain_plugin.files import atomic_write
from projects.benchmark.arm import build_detector
from projects.benchmark.resources import count_parameters
from projects.benchmark.setting import Setting
from projects.study.demo.curves import METRICS, read_scalars
from projects.study.resampled_ap import (
    DETAILS,
    RESAMPLES,
    Saved,
    measure_details,
    resample_images,
)

SUBSET = 100  # images, the first of the split: as many as slow arms are tested on
ROUNDING = 2e-3  # between our AP and that of mmdet, which rounds to 3 digits

DESCRIPTION = """\
Write one json of an arm and training seed of the study: AP per condition, AP in resamples of the
images (so that intervals of differences need no predictions any more), learning curve, costs.
"""
EPILOG = """\
Example:
  python -m projects.study.record --arm control --title "fine-tune control" --seed 1 \\
      --split test --tested work_dirs/study/test/control_test_seed1 \\
      --annotations data/study_coco/annotations/instances_test2017.json \\
      --config work_dirs/study/test/control_test_seed1/study_finetune_mix.py \\
      --checkpoint epoch_10.pth --scalars work_dirs/study/train/control_seed1 \\
      --timing work_dirs/study/steps/train_control.json --settings 1f0c \\
      --out projects/study/results/study/arms/control/test_seed1.json
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse what was tested, and where its files are."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, explanation in (
        ("arm", "name of the arm"),
        ("title", "the same for people"),
        ("split", "which images it was tested on, such as val or test"),
        ("settings", "what identifies everything that the result depends on"),
    ):
        parser.add_argument(f"--{option}", required=True, help=explanation)
    for option, explanation in (
        ("tested", "work dir of tools/test.py, whose --out is predictions.pkl in it"),
        ("annotations", "COCO annotations that it was tested on"),
        ("config", "of the detector, whose parameters are counted"),
        ("checkpoint", "the weights that were tested"),
        ("out", "json to write, in place of an older one"),
    ):
        parser.add_argument(f"--{option}", type=Path, required=True, help=explanation)
    parser.add_argument("--seed", type=int, required=True, help="of the training")
    parser.add_argument("--timing", type=Path, help="record of the step that made the weights")
    parser.add_argument("--scalars", type=Path, help="work dir of the training, for its curve")
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the images; default %(default)s"
    )
    parser.add_argument("--workers", type=int, help="default as many as cores; same results")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the record as the command line says."""
    args = parse_args(arguments)
    try:
        record = _record(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(args.out)


def _record(args: argparse.Namespace) -> dict[str, Any]:
    cfg = load_config(args.config)
    predictions, robustness = _files_of_test(args.tested)
    saved, truth = load_predictions(predictions), CocoTruth(args.annotations)
    classes = cfg.get("classes")
    how = dict(classes=classes, resamples=args.resamples, workers=args.workers)
    conditions = _conditions(robustness, saved)
    details = {name: {key: row.get(key) for key in DETAILS} for name, row in conditions.items()}
    whole = resample_images(saved, truth, details=details, **how)
    _check_same_test(whole, conditions, args)
    record = dict(
        arm=args.arm,
        title=args.title,
        seed=args.seed,
        split=args.split,
        settings=args.settings,
        seconds=json.loads(args.timing.read_text())["seconds"] if args.timing else 0.0,
        config=str(args.config),
        checkpoint=str(args.checkpoint),
        parameters=count_parameters(build_detector(args.config, Setting())),
        learning_curve=_learning_curve(args.scalars, args.checkpoint),
        **describe_machine(),
        whole=whole,
    )
    if whole["num_images"] > SUBSET:
        first = {name: next(part.split(SUBSET)) for name, part in saved.items()}
        details = measure_details(first, truth, classes=classes)
        record["subset"] = resample_images(first, truth, details=details, **how)
    return record


def _files_of_test(work_dir: Path) -> tuple[Path, Path]:
    """Return the predictions and the robustness.json of the newest test in ``work_dir``."""
    reports = work_dir.glob("*/robustness.json")
    return work_dir / "predictions.pkl", max(reports, default=work_dir / "robustness.json")


def _conditions(path: Path, saved: Saved) -> dict[str, dict[str, float | None]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; tools/test.py leaves it beside its log")
    conditions = json.loads(path.read_text())["conditions"]
    if conditions.keys() != saved.keys():
        raise ValueError(
            f"{path} has the conditions {', '.join(conditions)}, the predictions have "
            f"{', '.join(saved)}: give both files of the same test"
        )
    return conditions


def _check_same_test(whole: dict, conditions: dict, args: argparse.Namespace) -> None:
    """Refuse predictions, annotations and mmdet's AP that do not belong together."""
    for name, row in whole["conditions"].items():
        if abs(row["AP"] - (conditions[name]["AP"] or 0)) > ROUNDING:
            raise ValueError(
                f"under {name} the predictions in {args.tested} have an AP of {row['AP']:.3f} by "
                f"{args.annotations}, its robustness.json one of {conditions[name]['AP']}: they "
                "are of other models or images, or the test left out images of its annotations"
            )


def _learning_curve(work_dir: Path | None, checkpoint: Path) -> list[list[float]]:
    """Return epoch and AP on clean and rainy validation images, up to the tested epoch."""
    if work_dir is None:
        return []
    tested = re.search(r"epoch_(\d+)", checkpoint.name)
    return [
        [record["step"], *(record[metric] for metric in METRICS)]
        for record in read_scalars(work_dir)
        if METRICS.keys() <= record.keys() and (not tested or record["step"] <= int(tested[1]))
    ]


if __name__ == "__main__":
    main()
