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
from projects.benchmark.inference import measure_inference, median_interval
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
    taken = np.asarray(inside[-len(without) :])
    shares = taken / without
    return dict(
        ms=float(np.median(taken)),
        share=float(np.median(shares)),
        share_interval=median_interval(shares),
        rounds=len(without),
    )


def measure_exported(
    detector: Detector,
    folder: Path,
    export: Export,
    setting: Setting,
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Time a file of a detector in turns with one of it without its neck.

    Args:
        detector: With a ``DerainNeck``.
        folder: For both files, which stay there.
        export: Format and precision.
        setting: Circumstances; on the CPU.
        rounds: How often each is timed.
        seconds: Limit of the timing, of each.

    Returns:
        ``share`` of the neck of the time without it, and its ``share_interval``, both as
        ``measure_inference`` has the difference; ``total_ms``, and ``rounds``.
    """
    files = [folder / f"{name}{SUFFIXES[export.format]}" for name in ("with", "without")]
    _write(detector, files[0], export)
    with _without_neck(detector):
        _write(detector, files[1], export)
    row, _ = measure_inference(files, setting, rounds=rounds, seconds=seconds, tell=lambda _: None)
    detector_ms = row["derain_ms"] / row["overhead"]
    return dict(
        share=row["overhead"],
        share_interval=[bound / detector_ms for bound in row["derain_ms_interval"]],
        total_ms=row["total_ms"],
        rounds=row["rounds"],
    )


def _write(detector: Detector, file: Path, export: Export) -> None:
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
