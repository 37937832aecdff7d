"""What a training takes until its first iteration: another build and this one, in turns."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from derain_plugin.datasets.labels.classes import COCO_NAMES
from projects.benchmark.inference import median_interval
from projects.benchmark.start import Cost, start_once

CONFIG = "configs/rtdetr_r18_featderain_ms.py"
WIDTH, HEIGHT = 640, 480
POINTS = 22  # of an outline, so that a file of COCO's size is as large as COCO's
MOST_LINKS = 50_000  # of a file; ext4 allows 65,000
# Ends where the first batch is there and the model would run.
PROGRAM = """
import os, sys
from mmengine.runner import EpochBasedTrainLoop
EpochBasedTrainLoop.run_iter = lambda *_: os._exit(0)
from derain_plugin.cli.train import main
main(sys.argv[1:])
sys.exit("no iteration was reached")
"""


def write_data(folder: Path, *, images: int, boxes: int) -> None:
    """Write a training and a small validation set, as COCO has them, and a rainy copy of each.

    The image files are links to a few grey ones; the outlines are random.
    """
    (folder / "annotations").mkdir()
    for split, share in (("train2017", 1), ("val2017", 24)):
        count = max(1, images // share)
        file = folder / f"annotations/instances_{split}.json"
        _write_annotations(file, images=count, boxes=max(1, boxes // share))
        for below in (folder / split, folder / "rainy" / split):
            _link_images(below, count)


def _write_annotations(path: Path, *, images: int, boxes: int) -> None:
    rng = np.random.default_rng(0)
    listed = [
        dict(id=number, file_name=_name(number), width=WIDTH, height=HEIGHT)
        for number in range(1, images + 1)
    ]
    categories = [dict(id=number, name=name) for number, name in enumerate(COCO_NAMES, 1)]
    with path.open("w") as file:  # piece by piece: as a whole it takes gigabytes
        file.write(f'{{"images": {json.dumps(listed)}, "categories": {json.dumps(categories)}, ')
        file.write('"annotations": [')
        for number in range(1, boxes + 1):
            annotation = _annotation(rng, number, image_id=int(rng.integers(1, images + 1)))
            file.write(json.dumps(annotation) + (", " if number < boxes else "]}"))


def _annotation(rng: np.random.Generator, number: int, *, image_id: int) -> dict[str, Any]:
    x, y = rng.uniform(0, [WIDTH / 2, HEIGHT / 2]).round(2).tolist()
    w, h = rng.uniform(8, [WIDTH / 2, HEIGHT / 2]).round(2).tolist()
    outline = (rng.random((POINTS, 2)) * (w, h) + (x, y)).round(2).ravel().tolist()
    return dict(
        id=number, image_id=image_id, category_id=int(rng.integers(1, len(COCO_NAMES) + 1)),
        bbox=[x, y, w, h], area=w * h / 2, iscrowd=0, segmentation=[outline],
    )  # fmt: skip


def _link_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        path = folder / _name(number)
        if number % MOST_LINKS == 1:
            source = path
            cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        else:
            os.link(source, path)


def _name(number: int) -> str:
    return f"{number:012d}.jpg"


def compare_train_starts(
    builds: Sequence[Path], data: Path, *, rounds: int, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Start a training in each build in turns, each in a process of its own.

    Args:
        builds: Checkouts: another one, then ours.
        data: Folder that :func:`write_data` filled.
        rounds: How often; each build once more before, untimed.
        tell: Takes a line about each round.

    Returns:
        ``cpu_seconds`` and ``megabytes`` (the peak), each with ``all`` values of each build, their
        ``medians``, and ``ratio``, the median of the paired ratios of the other build to ours, with
        its 95 % ``interval``.

    Raises:
        RuntimeError: A training does not start.
    """
    costs: list[list[Cost]] = []
    for turn in range(-1, rounds):
        tell(f"round {turn + 1} of {rounds}" if turn >= 0 else "warming up")
        pair = [_start(build, data) for build in builds]
        if turn >= 0:
            costs.append(pair)
    return {key: _compared(costs, key) for key in ("cpu_seconds", "megabytes")}


def _start(build: Path, data: Path) -> Cost:
    with tempfile.TemporaryDirectory() as work_dir:
        options = dict(
            data_root=f"{data}/", rainy_root=f"{data}/rainy/", load_from=None,
            **{"train_dataloader.batch_size": 1, "train_dataloader.num_workers": 0},
        )  # fmt: skip
        settings = [f"{key}={value}" for key, value in options.items()]
        arguments = [str(build / CONFIG), "--work-dir", work_dir, "--cfg-options", *settings]
        return start_once(["-c", PROGRAM, *arguments], build)


def _compared(costs: Sequence[Sequence[Cost]], key: str) -> dict[str, Any]:
    others, ours = ([getattr(cost, key) for cost in column] for column in zip(*costs, strict=True))
    ratios = np.divide(others, ours)
    return dict(
        all=[others, ours],
        medians=[statistics.median(others), statistics.median(ours)],
        ratio=float(np.median(ratios)),
        interval=median_interval(ratios),
    )
