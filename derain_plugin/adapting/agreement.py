"""How much of what a detector finds on clean photos it still finds in rain.

The detector's own clean detections above a score take the place of labels, so nothing has to be
annotated. It says how much rain changes the detector, not how right the detector is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.structures import InstanceData

from derain_plugin.adapting.average_precision import coco_of, mean_precision, precision_of
from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.renderers import Renderer, rain_of
from derain_plugin.rain import SEVERITIES, image_seed
from derain_plugin.rain.images import read_image

SCORE = 0.3  # from which the teacher's detections count as objects
LEVELS = (0, *SEVERITIES)


@dataclass(frozen=True)
class Agreement:
    """AP against the detector's own clean detections, clean and at each severity.

    Attributes:
        before: By severity, 0 for clean; of the detector as it is. 0-1, NaN without objects.
        after: The same with the de-rain neck.
        num_objects: Clean detections that count as objects.
        num_photos: Held-out photos.
        score: From which a clean detection is an object.
    """

    before: dict[int, float]
    after: dict[int, float]
    num_objects: int
    num_photos: int
    score: float = SCORE

    def table(self) -> str:
        """Return it for people to read."""
        names = ["clean", *(f"severity {level}" for level in LEVELS[1:])]
        lines = [
            f"Agreement with the detector's own clean detections: AP on {self.num_photos} held-out "
            f"photos,",
            f"their {self.num_objects} clean detections of score {self.score} or more taken as "
            "truth (no labels).",
            f"{'':<12}{'before':>8}{'after':>8}{'change':>8}",
        ]
        for level, name in zip(LEVELS, names, strict=True):
            before, after = self.before[level], self.after[level]
            lines.append(f"{name:<12}{before:>8.3f}{after:>8.3f}{after - before:>+8.3f}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return it as json takes it."""
        return dict(
            before={str(level): _rounded(value) for level, value in self.before.items()},
            after={str(level): _rounded(value) for level, value in self.after.items()},
            num_objects=self.num_objects,
            num_photos=self.num_photos,
            score=self.score,
        )


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)  # json has no NaN


def measure_agreement(
    detector: FrozenDetector,
    photos: Sequence[Path],
    *,
    seed: int = 0,
    score: float = SCORE,
    renderer: Renderer = "ours",
    on_photo: Callable[[], object] = lambda: None,
) -> Agreement:
    """Compare a detector with itself on the clean image, before and after.

    Args:
        detector: With the neck that was trained.
        photos: Not trained on.
        seed: Of the rain, which is the same before and after.
        score: From which a clean detection counts as an object.
        renderer: Of the rain, see :func:`~derain_plugin.adapting.renderers.rain_of`.
        on_photo: Called after each photo.
    """
    truth: list[InstanceData] = []
    sizes: list[tuple[int, int]] = []
    found: dict[tuple[bool, int], list[InstanceData]] = {
        (is_after, level): [] for is_after in (False, True) for level in LEVELS
    }
    rain = rain_of(renderer)
    for number, photo in enumerate(photos):
        image = read_image(photo)
        rain_seed = image_seed(seed, number)
        views = [
            rain.on(image, level, seed=rain_seed, photo=photo) if level else image
            for level in LEVELS
        ]
        for level, view in zip(LEVELS, views, strict=True):
            found[True, level].append(detector.detect(view))
            with detector.plain():
                found[False, level].append(detector.detect(view))
        clean = found[False, 0][-1]
        truth.append(clean[clean.scores >= score])
        sizes.append(image.shape[:2])
        on_photo()
    objects = coco_of(truth, sizes)

    def ap(found: Sequence[InstanceData]) -> float:
        return mean_precision(precision_of(objects, found)) if objects.anns else math.nan

    return Agreement(
        before={level: ap(found[False, level]) for level in LEVELS},
        after={level: ap(found[True, level]) for level in LEVELS},
        num_objects=len(objects.anns),
        num_photos=len(photos),
        score=score,
    )
