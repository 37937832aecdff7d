"""What share of a detector's time its de-rain neck takes: in PyTorch, and in exported files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from derain_plugin.apis import Detector
from derain_plugin.export.calibration_images import read_images
from derain_plugin.export.export_detector import Export, export_detector
from projects.benchmark.arm import Arm
from projects.benchmark.exported_arm import ExportedArm
from projects.benchmark.inference import median_interval
from projects.benchmark.setting import Setting
from projects.benchmark.timing import times_in_turns

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}


def measure_inside(
    config: str | Path, setting: Setting, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Time a neck while its detector runs, from entering to leaving it.

    The difference of two runs, which ``measure_inference`` takes, also has what the neck does to
    the rest by way of the caches, but all noise of both runs, too: some percent of the detector.

    Args:
        config: A detection config with a ``DerainNeck``.
        setting: Circumstances; on the CPU.
        rounds: How often the detector is timed, with and without the neck.
        seconds: Limit of the timing.

    Returns:
        ``ms`` of the neck, and its ``share`` of the time without it; medians, with the share's
        95 % ``share_interval`` (paired ratios, bootstrap), and ``rounds``.
    """
    arm = Arm(config, setting)
    with arm.timed_inside() as inside:
        ((without, _),) = times_in_turns(
            [[arm.run_without, arm.run]], rounds=rounds, seconds=seconds, warm_up=1
        )
    return _shares(inside[-len(without) :], without)


def measure_exported(
    detector: Detector,
    file: Path,
    export: Export,
    setting: Setting,
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Time a file of a detector in turns with one of it without its neck.

    Args:
        detector: With a ``DerainNeck``.
        file: Of the detector; the one without the neck is written beside it.
        export: Format and precision.
        setting: Circumstances; on the CPU.
        rounds: How often each is timed.
        seconds: Limit of the timing.

    Returns:
        As ``measure_inside``, of the difference of both files.
    """
    without = file.with_stem("without_neck")
    with _without_neck(detector):
        write_file(detector, without, export)
    runs = [ExportedArm(each, setting).run for each in (without, file)]
    ((plain, derained),) = times_in_turns([runs], rounds=rounds, seconds=seconds, warm_up=1)
    return _shares(np.subtract(derained, plain), plain)


def _shares(taken: Any, without: Any) -> dict[str, Any]:
    shares = np.divide(taken, without)
    return dict(
        ms=float(np.median(taken)),
        share=float(np.median(shares)),
        share_interval=median_interval(shares),
        rounds=len(shares),
    )


def write_file(detector: Detector, file: Path, export: Export) -> None:
    """Export a detector, whatever the file finds.

    Raises:
        ValueError: The detector cannot be exported.
    """
    images = read_images(None, {}, count=5)
    export_detector(
        detector, file, export, checkpoint=None, images=images,
        calibration=list(images.values()), log=lambda _: None,
    )  # fmt: skip


@contextmanager
def _without_neck(detector: Detector) -> Iterator[None]:
    neck = detector.model.neck
    detector.model.neck = neck.neck
    try:
        yield
    finally:
        detector.model.neck = neck
