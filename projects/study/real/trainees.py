"""What each kind of arm builds around the detector, and what of it trains when."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor, nn

from derain_plugin.adapting.adapt import PipelineSample
from derain_plugin.adapting.early_blocks import build_early
from derain_plugin.adapting.frozen_detector import FrozenDetector, freeze
from derain_plugin.adapting.labels import objects_of, read_all_labels
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.apis import Detector
from derain_plugin.models import ImageFilter, add_image_filter
from derain_plugin.models.layers.valid_area import change_valid_area
from projects.study.real.arms import Recipe
from projects.study.real.photographs import CONFIG, HIGHWAY_TRAIN, WEIGHTS, Photographs
from projects.study.real.renderers import RENDERERS
from projects.study.real.students import FogStudent, LabelledStudent, RestorerStudent, Student

EARLY_PLACES = ("stem", "stage1")
NECK_IN_PHASE_2 = 0.1  # times the recipe's rate, as in the guide's schedule
SPDNET = dict(type="SPDNet", n_feats=16, num_blocks=1, scale=255.0, identity=True)  # a small one


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    Attributes:
        losses: Called with a batch; gives the losses.
        groups: Of the optimizer: ``params`` and ``lr``.
        iterations: Steps.
    """

    losses: nn.Module
    groups: list[dict[str, Any]]
    iterations: int


@dataclass(frozen=True)
class Trainee:
    """A detector, and how it is trained.

    Attributes:
        detector: As it detects, with all that the arm adds.
        parts: What trains; its state is all that is kept.
        phases: Of the training, in order.
        labels: Boxes of the photos, where they are trained with.
    """

    detector: FrozenDetector
    parts: nn.ModuleDict
    phases: list[Phase] = field(default_factory=list)
    labels: Mapping[Path, InstanceData] | None = None


def build_trainee(kind: str, recipe: Recipe, photos: Photographs, *, seed: int) -> Trainee:
    """Build what an arm trains, as it is before the training.

    Args:
        kind: One of ``KINDS``.
        recipe: Of the arm.
        photos: With the detector's weights.
        seed: Of all fresh weights.
    """
    torch.manual_seed(seed)
    detector = load_detector(photos, recipe, seed=seed)
    return KINDS[kind](detector, recipe, photos, seed)


def load_detector(photos: Photographs, recipe: Recipe, *, seed: int) -> FrozenDetector:
    """Return the frozen detector with fresh blocks, which are out where the recipe has no neck."""
    source = Detector(CONFIG, str(photos.data / WEIGHTS), device="cpu")
    source.model.dataset_meta = dict(classes=source.classes)
    derain = dict(type=recipe.neck or "LightweightFeatureDerain")
    sample = PipelineSample(source.dataset["pipeline"])
    early = build_early(source.model, EARLY_PLACES if recipe.early else (), seed=seed)
    detector = freeze(source.model, sample, derain=derain, early=early, seed=seed)
    if recipe.neck is None:
        detector.take_out()
    return detector


def _vanilla(detector: FrozenDetector, *_: Any) -> Trainee:
    detector.take_out()
    return Trainee(detector, nn.ModuleDict())


def _neck(detector: FrozenDetector, recipe: Recipe, *_: Any) -> Trainee:
    parts = nn.ModuleDict(detector.blocks)
    losses = Adaptation(detector, LossWeights(*recipe.weights))
    return Trainee(detector, parts, [Phase(losses, _group(parts, recipe.lr), recipe.iterations)])


def _filter(detector: FrozenDetector, recipe: Recipe, *_: Any) -> Trainee:
    teacher = copy.deepcopy(detector)
    parts = nn.ModuleDict(detector.blocks if recipe.neck is not None else {})
    parts["filter"] = ImageFilter()  # YOLOX does not normalise images
    add_image_filter(detector.model.backbone, parts["filter"])
    losses = Student(detector, teacher, LossWeights(*recipe.weights))
    return Trainee(detector, parts, [Phase(losses, _group(parts, recipe.lr), recipe.iterations)])


def _all(detector: FrozenDetector, recipe: Recipe, *_: Any) -> Trainee:
    teacher = copy.deepcopy(detector)
    parts = _whole(detector)
    losses = Student(detector, teacher, LossWeights(*recipe.weights))
    return Trainee(detector, parts, [Phase(losses, _group(parts, recipe.lr), recipe.iterations)])


def _neck_then_all(detector: FrozenDetector, recipe: Recipe, *_: Any) -> Trainee:
    """Train the neck for half of the iterations, then everything."""
    teacher = copy.deepcopy(detector)
    first = _neck(detector, recipe).phases[0]
    parts = _whole(detector)
    of_neck = list(detector.derain.parameters())
    rest = [each for each in parts.parameters() if not any(each is other for other in of_neck)]
    groups = [
        dict(params=of_neck, lr=NECK_IN_PHASE_2 * recipe.lr),
        dict(params=rest, lr=recipe.then_lr),
    ]
    half = recipe.iterations // 2
    second = Student(detector, teacher, LossWeights(*recipe.weights))
    phases = [
        Phase(first.losses, first.groups, half),
        Phase(second, groups, recipe.iterations - half),
    ]
    return Trainee(detector, parts, phases)


def _labels(detector: FrozenDetector, recipe: Recipe, photos: Photographs, seed: int) -> Trainee:
    labels = objects_of(read_all_labels([photos.data / HIGHWAY_TRAIN], detector.model))
    parts = _whole(detector)
    phase = Phase(LabelledStudent(detector), _group(parts, recipe.lr), recipe.iterations)
    return Trainee(detector, parts, [phase], labels)


def _fog(detector: FrozenDetector, recipe: Recipe, photos: Photographs, seed: int) -> Trainee:
    twins = RainyTwins(
        photos.fog_targets(), detector.prepare,
        num_samples=recipe.iterations * recipe.batch_size, seed=seed,
        clean_share=0, severity=(1, 3), renderer=RENDERERS["photometric"].render,
    )  # fmt: skip
    twins.set_run_seed(seed)
    batches = Batches(twins, recipe.batch_size)
    parts = nn.ModuleDict(detector.blocks)
    losses = FogStudent(
        detector, LossWeights(*recipe.weights), batches.take, fog_weight=recipe.fog_weight
    )
    return Trainee(detector, parts, [Phase(losses, _group(parts, recipe.lr), recipe.iterations)])


def _restorer(detector: FrozenDetector, recipe: Recipe, *_: Any) -> Trainee:
    losses = RestorerStudent(detector, SPDNET)
    _put_in_front(losses.restore, detector.model.backbone)
    parts = nn.ModuleDict(dict(restorer=losses.supervised.restorer))
    return Trainee(detector, parts, [Phase(losses, _group(parts, recipe.lr), recipe.iterations)])


def _put_in_front(restored: Callable[[Tensor], Tensor], backbone: nn.Module) -> None:
    """Let a restorer change the images before a backbone sees them, but no padding."""

    def change(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (change_valid_area(restored, arguments[0]), *arguments[1:])

    backbone.register_forward_pre_hook(change)


class Batches:
    """Give collated samples, in order.

    Args:
        samples: All of them.
        batch_size: Of each.
    """

    def __init__(self, samples: RainyTwins, batch_size: int) -> None:
        self._samples, self._size, self._next = samples, batch_size, 0

    def take(self) -> dict[str, Any]:
        """Return the next batch."""
        first = self._next
        self._next += self._size
        return pseudo_collate([self._samples[index] for index in range(first, self._next)])


def _whole(detector: FrozenDetector) -> nn.ModuleDict:
    """Return all of a detector; its BatchNorm keeps its statistics, as it stays in eval mode."""
    return nn.ModuleDict(dict(detector=detector.model))


def _group(parts: nn.Module, lr: float) -> list[dict[str, Any]]:
    return [dict(params=list(parts.parameters()), lr=lr)]


KINDS: dict[str, Callable[..., Trainee]] = dict(
    vanilla=_vanilla,
    neck=_neck,
    filter=_filter,
    all=_all,
    neck_then_all=_neck_then_all,
    labels=_labels,
    fog=_fog,
    restorer=_restorer,
)
"""What trains: nothing, de-rain blocks, a filter in front and perhaps blocks, everything, ..."""
