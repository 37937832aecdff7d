"""Images where the neck helps and where it fails: ``python -m projects.study.failures``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.apis import init_detector
from mmdet.registry import DATASETS
from mmengine.config import Config

from derain_plugin.cli.machine import describe_machine
from derain_plugin.config import load_config
from derain_plugin.evaluation.coco_truth import CocoTruth
from derain_plugin.evaluation.image_matches import match_images
from derain_plugin.evaluation.saved_predictions import load_predictions
from derain_plugin.files import atomic_write
from projects.study.demo.image_grid import SCORE_THRESHOLD, draw_grid
from projects.study.plan import portable

CONDITION = "severity_5"
IOU = np.array([0.5])  # from which a box counts as found


@dataclass(frozen=True)
class TestedDetector:
    """What a run of ``tools/test.py`` left.

    Attributes:
        cfg: Its config, data and checkpoint (``load_from``) included.
        predictions: File of its predictions.
    """

    cfg: Config
    predictions: Path

    @classmethod
    def in_folder(cls, folder: Path) -> TestedDetector:
        """Find config and ``predictions.pkl`` in the work dir of a test.

        Raises:
            FileNotFoundError: It has not exactly one config, or no predictions.
        """
        configs, predictions = list(folder.glob("*.py")), folder / "predictions.pkl"
        if len(configs) != 1 or not predictions.is_file():
            raise FileNotFoundError(
                f"{folder} should have one config and predictions.pkl, as tools/test.py "
                "--work-dir and --out leave them"
            )
        return cls(load_config(configs[0]), predictions)

    def found_objects(self) -> dict[int, int]:
        """Count, by image id, the boxes that detections as good as those shown have found."""
        prefixes = self.cfg.test_evaluator.dataset_prefixes
        saved = load_predictions(self.predictions)[CONDITION]
        truth = CocoTruth(Path(self.cfg.test_evaluator.metrics[prefixes.index(CONDITION)].ann_file))
        matches = match_images(
            saved,
            truth.annotations_of(saved.image_ids.tolist()),
            category_ids=truth.category_ids(self.cfg.get("classes")),
            iou_thresholds=IOU,
        )
        good = matches.correct[0] & (matches.score >= SCORE_THRESHOLD)
        counts = np.bincount(matches.image[good], minlength=matches.num_images)
        return dict(zip(saved.image_ids.tolist(), counts.tolist(), strict=True))


def write_failures(control: Path, neck: Path, out: Path, *, images: int = 3) -> list[dict]:
    """Draw where the neck finds most objects more than the control, and most objects fewer.

    Args:
        control: Work dir of the test of the detector without a neck.
        neck: The same of one with a ``DerainNeck``, on the same images.
        out: The JPEG to write; beside it a json says which images these are.
        images: How many of each kind.

    Returns:
        What the json holds: ``image_id`` and objects found by ``control`` and ``neck``, those
        first where the control finds more.

    Raises:
        FileNotFoundError: A test is not there.
        ValueError: The tests are of other images, or ``neck`` has no rain masks.
    """
    tests = dict(control=TestedDetector.in_folder(control), neck=TestedDetector.in_folder(neck))
    counts = {name: test.found_objects() for name, test in tests.items()}
    chosen = choose_images(counts["control"], counts["neck"], images=images)
    cfg = tests["neck"].cfg
    prefixes = cfg.test_evaluator.dataset_prefixes
    models = {
        name: init_detector(test.cfg, test.cfg.load_from, device="cpu")
        for name, test in tests.items()
    }
    if not hasattr(models["neck"].neck, "rain_masks"):
        raise ValueError(f"{neck} is a test of a detector without a DerainNeck: no masks to show")
    dataset = DATASETS.build(cfg.test_dataloader.dataset.datasets[prefixes.index(CONDITION)])
    index = {dataset.get_data_info(i)["img_id"]: i for i in range(len(dataset))}
    draw_grid(models, dataset, [index[row["image_id"]] for row in chosen], out)
    checkpoints = [portable(test.cfg.load_from) for test in tests.values()]
    content: dict[str, Any] = dict(condition=CONDITION, images=chosen, checkpoints=checkpoints)
    text = json.dumps(dict(content, **describe_machine()), indent=1) + "\n"
    atomic_write(out.with_suffix(".json"), text)
    return chosen


def choose_images(
    control: dict[int, int], neck: dict[int, int], *, images: int
) -> list[dict[str, int]]:
    """Return the images where the counts differ most: first the control ahead, then the neck.

    Args:
        control: Objects found, by image id.
        neck: The same of the other detector.
        images: How many at most of each kind; images of equal counts are of neither.

    Raises:
        ValueError: The images are not the same.
    """
    if control.keys() != neck.keys():
        raise ValueError("the tests are of different images: test both on the same")
    # Ties in the order of the images.
    ranked = sorted(control, key=lambda image: (neck[image] - control[image], image))
    worse = [image for image in ranked if neck[image] < control[image]][:images]
    better = [image for image in reversed(ranked) if neck[image] > control[image]][:images]
    return [
        dict(image_id=image, control=control[image], neck=neck[image])
        for image in (*worse, *better)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw as the command line says."""
    parser = argparse.ArgumentParser(
        description="Draw test images at severity 5 where a detector with a neck finds more, or "
        "fewer, objects than the control, with the neck's rain masks.",
    )
    parser.add_argument("control", type=Path, help="work dir of the control's test")
    parser.add_argument("neck", type=Path, help="the same of the detector with a neck")
    parser.add_argument("--out", type=Path, required=True, help="image to write: failures.jpg")
    args = parser.parse_args(arguments)
    try:
        chosen = write_failures(args.control, args.neck, args.out)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(map(str, chosen)))


if __name__ == "__main__":
    main()
