"""What the study on real rain compares, one arm a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VANILLA = "vanilla"
REAL = "real"
"""The family: detector and data of this study, for the command line."""

CONTROL = "all_colours_1e-5"
"""The arm that others are compared with, beside vanilla, unless another one is named."""

ITERATIONS, BATCH = 370, 8  # three passes over the photos


@dataclass(frozen=True)
class Recipe:
    """How an arm is trained; what a kind of arm does not need is ignored by it.

    Attributes:
        lr: Of AdamW, for all that trains; it falls to 0 along half a cosine.
        iterations: Steps.
        batch_size: Photos of a step.
        weights: Of features, classes and boxes in the loss.
        rain: A renderer, see :data:`projects.study.real.renderers.RENDERERS`.
        severity: Mildest and worst.
        clean_share: Of the samples that stay clean.
        photos: Folders of training photos, see :data:`projects.study.real.photographs.TRAINING`.
        neck: Type of the de-rain neck; None for none.
        early: Whether de-rain blocks stand inside the backbone, too.
        then_lr: Of the whole detector, in a second phase.
        fog_weight: Of the consistency on photos of fog.
        crop: Up to which share of both sides is cut off each photo at random, in half of them.
        distort: Whether colours are distorted at random, of the rainy and the clean image alike.
    """

    lr: float = 1e-3
    iterations: int = ITERATIONS
    batch_size: int = BATCH
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rain: str = "ours"
    severity: tuple[int, int] = (1, 5)
    clean_share: float = 0.3
    photos: tuple[str, ...] = ("clear_traffic", "highway")
    neck: str | None = "MultiScaleFeatureDerain"
    early: bool = False
    then_lr: float = 1e-5
    fog_weight: float = 1.0
    crop: float = 0.0
    distort: bool = False

    def record(self) -> dict[str, Any]:
        """Return it for a json file."""
        return asdict(self)


@dataclass(frozen=True)
class RealArm:
    """A detector that is measured: one row of the report.

    Attributes:
        name: Of its files, and for the command line.
        title: For people.
        kind: What trains, see :data:`projects.study.real.trainees.KINDS`.
        options: Of its :class:`Recipe`, where they differ from the defaults.
        decides: Whether it runs with every seed, or with the first only.
    """

    name: str
    title: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    decides: bool = False

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return Recipe(**self.options)

    def seeds(self, seeds: Iterable[int]) -> tuple[int, ...]:
        """Return those of the study's seeds that it runs with; 0 where nothing is trained."""
        if self.name == VANILLA:
            return (0,)
        return tuple(seeds) if self.decides else tuple(seeds)[:1]


LITE, PLAIN = "LightweightFeatureDerain", "PlainFeatureRefine"
NO_NECK: dict[str, Any] = dict(neck=None)
CROPPED: dict[str, Any] = dict(crop=0.6)
ALL = NO_NECK | CROPPED
COLOURS: dict[str, Any] = CROPPED | dict(distort=True)

ARMS = (
    RealArm(VANILLA, "vanilla", "vanilla"),
    RealArm("neck_ms", "multi-scale neck", "neck", decides=True),
    RealArm("neck_ms_slow", "multi-scale neck, lr 3e-4", "neck", dict(lr=3e-4)),
    RealArm("neck_ms_fast", "multi-scale neck, lr 3e-3", "neck", dict(lr=3e-3)),
    RealArm("neck_ms_crop", "multi-scale neck, photos cropped at random", "neck", CROPPED),
    RealArm("neck_ms_colours", "multi-scale neck, cropped photos, distorted colours", "neck",
            COLOURS, True),
    RealArm("neck_lite", "lightweight neck, cropped photos", "neck", dict(CROPPED, neck=LITE)),
    RealArm("neck_plain", "plain convolutions of the neck's size, cropped photos", "neck",
            dict(CROPPED, neck=PLAIN)),
    RealArm("early_ms", "early blocks + multi-scale neck, cropped photos", "neck",
            dict(CROPPED, early=True)),
    RealArm("all_1e-5", "all weights, lr 1e-5", "all", dict(NO_NECK, lr=1e-5)),
    RealArm("all_crop_5e-6", "all weights, lr 5e-6, cropped photos", "all", ALL | dict(lr=5e-6)),
    RealArm("all_crop_1e-5", "all weights, lr 1e-5, cropped photos", "all", ALL | dict(lr=1e-5)),
    RealArm("all_crop_2e-5", "all weights, lr 2e-5, cropped photos", "all", ALL | dict(lr=2e-5)),
    RealArm("all_crop_5e-5", "all weights, lr 5e-5, cropped photos", "all", ALL | dict(lr=5e-5)),
    RealArm("all_colours_1e-5", "all weights, lr 1e-5, cropped photos, distorted colours", "all",
            ALL | COLOURS | dict(lr=1e-5), True),
    RealArm("all_clean_1e-5", "all weights, lr 1e-5, cropped photos, distorted colours, half of "
            "the photos stay clean", "all", ALL | COLOURS | dict(lr=1e-5, clean_share=0.5)),
    RealArm("neck_then_all", "multi-scale neck, then all weights, cropped photos",
            "neck_then_all", CROPPED),
    RealArm(
        "all_labels", "all weights, with labels, lr 2e-5, cropped photos", "labels",
        ALL | dict(lr=2e-5, photos=("highway",)),
    ),
    RealArm(
        "all_labels_fast", "all weights, with labels, lr 1e-4, cropped photos", "labels",
        ALL | dict(lr=1e-4, photos=("highway",)),
    ),
    RealArm("photometric", "multi-scale neck, no rain but contrast, blur, noise, JPEG", "neck",
            dict(rain="photometric")),
    RealArm("rain_photometric", "multi-scale neck, our rain, then contrast, blur, noise, JPEG",
            "neck", dict(rain="ours_photometric")),
    RealArm("neck_ms_clean", "multi-scale neck, half of the photos stay clean", "neck",
            dict(clean_share=0.5)),
    RealArm("loss_features", "multi-scale neck, loss of the features alone", "neck",
            dict(weights=(1.0, 0.0, 0.0))),
    RealArm("loss_heads", "multi-scale neck, loss of classes and boxes alone", "neck",
            dict(weights=(0.0, 1.0, 1.0))),
    RealArm("loss_features_5", "multi-scale neck, features count five times", "neck",
            dict(weights=(5.0, 1.0, 1.0))),
    RealArm("rain_2", "multi-scale neck, our rain of version 2", "neck", dict(rain="ours_2")),
    RealArm("rain_streaks", "multi-scale neck, our streaks alone", "neck", dict(rain="streaks")),
    RealArm("rain_veil", "multi-scale neck, our veil alone", "neck", dict(rain="veil")),
    RealArm("rain_no_streaks", "multi-scale neck, our rain without streaks", "neck",
            dict(rain="no_streaks")),
    RealArm("rain_drops", "multi-scale neck, our rain and drops on the lens", "neck",
            dict(rain="lens_drops")),
    RealArm("all_rain_2", "all weights, lr 1e-5, our rain of version 2", "all",
            dict(NO_NECK, lr=1e-5, rain="ours_2")),
    RealArm("imgaug", "multi-scale neck, imgaug's rain", "neck", dict(rain="imgaug")),
    RealArm("albumentations", "multi-scale neck, albumentations' rain", "neck",
            dict(rain="albumentations")),
    RealArm("filter", "image-adaptive filter, cropped photos", "filter", NO_NECK | CROPPED),
    RealArm("filter_neck", "filter + multi-scale neck", "filter"),
    RealArm("filter_neck_crop", "filter + multi-scale neck, photos cropped at random", "filter",
            CROPPED),
    RealArm("filter_neck_colours", "filter + multi-scale neck, cropped photos, distorted colours",
            "filter", COLOURS, True),
    RealArm("filter_neck_clean", "filter + multi-scale neck, cropped photos, distorted colours, "
            "half of the photos stay clean", "filter", COLOURS | dict(clean_share=0.5), True),
    RealArm("fog_targets", "multi-scale neck, cropped photos, photos of fog as targets", "fog",
            CROPPED),
    RealArm("restorer", "a small SPDNet in front", "restorer", NO_NECK),
)  # fmt: skip
"""In the order of the report."""


def find_arms(names: Iterable[str]) -> list[RealArm]:
    """Return the arms of these names, in the order of ``ARMS``.

    Raises:
        ValueError: There is no such arm.
    """
    known, wanted = [arm.name for arm in ARMS], set(names)
    if unknown := sorted(wanted - set(known)):
        raise ValueError(f"unknown arms {', '.join(unknown)}; there are {', '.join(known)}")
    return [arm for arm in ARMS if arm.name in wanted]
