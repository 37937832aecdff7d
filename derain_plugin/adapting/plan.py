"""What an adaptation will do: how long, with what, and what speaks against it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmengine.dataset import pseudo_collate

from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.photos import Photos, look_like_bad_weather
from derain_plugin.adapting.renderers import Rain
from derain_plugin.adapting.step_cost import MOST, fitting_batch, seconds_per_step
from derain_plugin.adapting.training import Schedule
from derain_plugin.files import atomic_write
from derain_plugin.rain.images import read_image

EPOCHS = 4
FEW = 30  # photos, below which there is a warning
TRIED = 8  # held-out photos in which the detector must find something
RECORD = "adapt_run.json"


@dataclass(frozen=True)
class Length:
    """How long to train: one of these, by default ``EPOCHS`` passes over the photos.

    Raises:
        ValueError: Several are given, or one that is not positive.
    """

    iterations: int | None = None
    epochs: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) > 1:
            raise ValueError(f"give one of iterations, epochs and minutes, got {given}")
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")

    def steps(self, num_photos: int, batch_size: int, time_step: Callable[[], float]) -> int:
        """Return the iterations; only ``minutes`` have to be timed."""
        if self.iterations is not None:
            return self.iterations
        if self.minutes is not None:
            return max(1, int(60 * self.minutes / time_step()))
        return max(1, math.ceil((self.epochs or EPOCHS) * num_photos / batch_size))


def warnings_for(detector: FrozenDetector, photos: Photos, held_out: Sequence[Path]) -> list[str]:
    """Say what makes a good result unlikely."""
    said = []
    if len(photos.paths) < FEW:
        said.append(
            f"{len(photos.paths)} photos are few: what the neck learns may fit these alone. "
            "A few hundred from where the detector is used are better"
        )
    if look_like_bad_weather(photos.paths):
        said.append(
            "the photos look pale and hazy, like rain or fog: the neck learns to undo rain that "
            "is rendered on clear ones. Take photos of clear weather"
        )
    with detector.plain():
        counts = [
            int((detector.detect(read_image(p)).scores >= 0.3).sum()) for p in held_out[:TRIED]
        ]
    if not any(counts):
        said.append(
            f"the detector finds nothing in {len(counts)} of the photos (score 0.3 or more): are "
            "they of what it was trained for?"
        )
    return said


def describe_plan(
    detector: FrozenDetector,
    photos: Photos,
    training: Sequence[Path],
    held_out: Sequence[Path],
    schedule: Schedule,
    *,
    rain: Rain,
    is_batch_free: bool = False,
) -> str:
    """Say what will be done."""
    is_reduced = is_batch_free and schedule.batch_size < min(MOST, len(training))
    images, _ = detector.preprocess(_one(detector, training[0]))
    parameters = sum(parameter.numel() for parameter in detector.derain.parameters())
    lines = [
        f"photos:    {len(training)} to train on, {len(held_out)} held out; "
        f"{len(photos.skipped)} skipped",
        *(f"           {path}: {reason}" for path, reason in list(photos.skipped.items())[:5]),
        f"detector:  {type(detector.model).__name__} ({detector.kind.name}), frozen, "
        f"{images.shape[-1]} x {images.shape[-2]} px on {detector.device}",
        f"neck:      {type(detector.derain).__name__} {_place_of(detector)}, channels "
        f"{', '.join(map(str, detector.derain.in_channels))}; {parameters:,} parameters train",
        f"training:  {schedule.iterations} iterations of {schedule.batch_size} "
        f"({schedule.iterations * schedule.batch_size / len(training):.1f} passes)"
        f"{', as many as fit into memory' if is_reduced else ''}",
        f"rain:      {rain.name}{'' if rain.version is None else f' {rain.version}'}, severity "
        f"{schedule.severity[0]}-{schedule.severity[1]}; {schedule.clean_share:.0%} stay clean",
    ]
    return "\n".join(lines)


def _place_of(detector: FrozenDetector) -> str:
    with detector.plain():
        has_none = isinstance(detector.model, BaseDetector) and not detector.model.with_neck
    return "behind the backbone" if has_none else "in front of the detector's own"


def _one(detector: FrozenDetector, photo: Path) -> Any:
    return pseudo_collate([detector.prepare(read_image(photo))])


def check_out(out: Path, *, resume: bool) -> None:
    """Refuse a folder that exists, or, to resume, one without a stopped training."""
    if resume and not (out / RECORD).is_file():
        raise FileNotFoundError(
            f"{out} holds no {RECORD}, so there is nothing to resume: start without it"
        )
    if not resume and out.exists():
        raise FileExistsError(
            f"{out} exists: name another folder, or resume what was stopped there"
        )


def begin(
    out: Path,
    detector: FrozenDetector,
    photos: Mapping[Path, tuple[int, int]],
    schedule: Schedule,
    length: Length,
    *,
    rain: Rain,
    is_batch_free: bool = False,
    workers: int = 0,
    resume: bool = False,
) -> Schedule:
    """Settle the iterations, and note all that a resumed run must have alike.

    Args:
        out: A new folder, or one to resume in.
        detector: To train with.
        photos: To train on, and their height and width.
        schedule: Without iterations.
        length: Of the training.
        rain: To train with.
        is_batch_free: Whether the batch size is to be settled, too.
        workers: Processes that prepare photos.
        resume: Whether to go on as it was begun.

    Raises:
        ValueError: It was begun with other photos, rain or settings.
    """
    if resume:
        begun = _as_begun(out, list(photos), schedule, rain, is_batch_free=is_batch_free)
        _refuse_another_length(out, length, len(photos), begun)
        return begun
    if is_batch_free:
        schedule = replace(schedule, batch_size=fitting_batch(detector, photos, schedule))
    paths = list(photos)
    steps = length.steps(
        len(photos),
        schedule.batch_size,
        lambda: seconds_per_step(detector, paths, schedule, renderer=rain, workers=workers),
    )
    schedule = replace(schedule, iterations=steps)
    out.mkdir(parents=True)
    atomic_write(out / RECORD, json.dumps(_record(paths, schedule, rain), indent=1))
    return schedule


def _as_begun(
    out: Path, photos: Sequence[Path], schedule: Schedule, rain: Rain, *, is_batch_free: bool
) -> Schedule:
    begun = json.loads((out / RECORD).read_text())
    settled = ("iterations", "batch_size") if is_batch_free else ("iterations",)
    schedule = replace(schedule, **{name: begun["schedule"][name] for name in settled})
    now = _record(photos, schedule, rain)
    differing = [k for k, v in now.pop("schedule").items() if begun["schedule"].get(k) != v]
    differing += [f"the {k}" for k, v in now.items() if begun.get(k) != v]
    if differing:
        raise ValueError(
            f"{out} was begun with other settings ({', '.join(differing)} differ): resume with "
            f"those it was begun with, see {out / RECORD}"
        )
    return schedule


def _refuse_another_length(out: Path, length: Length, num_photos: int, begun: Schedule) -> None:
    """Minutes are no fixed number of steps, and without any length it is the one it was."""
    if length.iterations is None and length.epochs is None:
        return
    steps = length.steps(num_photos, begun.batch_size, lambda: math.nan)
    if steps != begun.iterations:
        raise ValueError(
            f"{out} was begun with {begun.iterations} iterations, not {steps}: resume without a "
            "length, or adapt anew in another folder"
        )


def _record(photos: Sequence[Path], schedule: Schedule, rain: Rain) -> dict[str, Any]:
    names = [photo.name for photo in photos]
    return dict(schedule=schedule.record(), photos=names, rain=rain.record())
