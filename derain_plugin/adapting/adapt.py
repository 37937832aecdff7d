"""Adapt a detector to rain with clear photographs and no labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmcv.transforms import Compose
from mmdet.models.detectors import BaseDetector
from torch import nn
from tqdm import tqdm

from derain_plugin.adapting.adapter import derain_of
from derain_plugin.adapting.adapter_file import save_adapter
from derain_plugin.adapting.agreement import Agreement, measure_agreement
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.early_blocks import build_early
from derain_plugin.adapting.front_filter import build_filter
from derain_plugin.adapting.frozen_detector import (
    FrozenDetector,
    check_detector,
    default_derain,
    freeze,
)
from derain_plugin.adapting.labels import (
    LabelledAP,
    LabelledPhotos,
    measure_ap,
    objects_of,
    read_all_labels,
    read_labels,
)
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.photos import find_photos
from derain_plugin.adapting.plan import Length, begin, check_out, describe_plan, warnings_for
from derain_plugin.adapting.progress import ProgressHook
from derain_plugin.adapting.renderers import Rain, Renderer, rain_of
from derain_plugin.adapting.step_cost import MOST, default_workers
from derain_plugin.adapting.training import CLEAN_SHARE, CROP, Schedule, train
from derain_plugin.adapting.twins import split_held_out
from derain_plugin.config.loading import first_dataset

TRAINING = "training"  # folder of checkpoints

Say = Callable[[str], object]


@dataclass(frozen=True)
class Adapted:
    """What :func:`adapt` gives.

    Attributes:
        detector: With its neck in; ``detector.model`` is the model to use.
        agreement: Before and after, on the held-out photos.
        held_out: Those photos.
        labelled: AP of each file of ``val``.
        rain: That it was trained with.
        folder: The adapter.
    """

    detector: FrozenDetector
    agreement: Agreement
    held_out: list[Path]
    rain: Rain
    folder: Path
    labelled: list[LabelledAP] = field(default_factory=list)

    @property
    def model(self) -> Any:
        """The detector with its neck."""
        return self.detector.model


def adapt(
    model: nn.Module,
    photos: Sequence[str | Path],
    out: str | Path,
    *,
    prepare: Any = None,
    base: str = "a model in Python",
    base_sha256: str | None = None,
    length: Length | None = None,
    batch_size: int | None = None,
    lr: float = 1e-3,
    severity: tuple[int, int] = (1, 5),
    clean_share: float = CLEAN_SHARE,
    crop: float = CROP,
    distort: bool = True,
    weights: LossWeights | None = None,
    derain: Mapping[str, Any] | None = None,
    early: Sequence[str] = (),
    image_filter: bool = True,
    renderer: Renderer = "ours",
    labels: bool = False,
    val: Sequence[str | Path] = (),
    seed: int = 0,
    amp: bool = False,
    workers: int | None = None,
    resume: bool = False,
    say: Say = print,
) -> Adapted:
    """Train de-rain blocks for a detector that stays bitwise as it is, and write the adapter.

    They are a neck in front of the detector's own, and an image filter in front of its backbone.

    Args:
        model: Of mmdet, or an RT-DETR, RT-DETRv2, D-FINE, DEIMv2, RF-DETR or LW-DETR of
            transformers, where it shall train.
        photos: Files, folders or globs of photographs in clear weather; no labels.
        out: Folder for the adapter; a new one unless ``resume``.
        prepare: For transformers the image processor; for mmdet what makes a packed sample of an
            image, by default the test pipeline of ``model.cfg``.
        base: Where the detector is from, for the adapter and its messages.
        base_sha256: Of its checkpoint file.
        length: How long; default ``EPOCHS`` passes over the photos.
        batch_size: Photos of a step, no more than there are; by default as many as fit into
            memory, 8 at most.
        lr: Learning rate.
        severity: Mildest and worst rain, 1-5.
        clean_share: Of the samples without rain.
        crop: Up to which share of both sides is cut off half of the photos; 0 crops none.
        distort: Whether contrast, brightness, saturation and hue change at random, of the rainy
            and the clean image alike, so that what only looks like haze is left alone.
        weights: Of the parts of the loss.
        derain: ``type`` and options of the neck, without ``in_channels``; by default a multi-scale
            one.
        early: Modules of the backbone after which a block cleans, too, such as ``("stem",)``;
            see :func:`~derain_plugin.adapting.early_blocks.build_early`.
        image_filter: Whether a filter of haze and contrast trains in front of the
            backbone, too; see :class:`~derain_plugin.models.backbones.ImageFilter`.
        renderer: Of the rain: ``ours``, ``imgaug``, a folder of rainy copies, a function, a
            transform; see :func:`~derain_plugin.adapting.renderers.rain_of`.
        labels: Whether to add the detector's own loss; ``photos`` are then COCO files.
        val: COCO files of labelled photos, of any weather, for AP before and after. They are not
            trained on.
        seed: Of all that is drawn.
        amp: Whether to compute in mixed precision.
        workers: Processes that prepare photos, which change no result; by default one per core
            but one, 8 at most, for a detector on CUDA, and none otherwise.
        resume: Whether to continue in ``out`` what was stopped there, with its settings.
        say: Gets lines for people.

    Raises:
        FileExistsError: ``out`` exists, and it is no resume.
        ValueError: A detector, photos or a renderer that cannot be used, an argument outside its
            range, or steps that are too large for the device's memory.
        RuntimeError: The detector has changed, which would be a bug.

    Example:
        >>> model = init_detector("yolox_nano.py", "yolox_nano.pth", device="cpu")
        >>> adapted = adapt(model, ["photos/"], "adapted")
        >>> inference_detector(adapted.model, "rainy.jpg")
    """
    out = Path(out).expanduser()
    check_detector(model)
    check_out(out, resume=resume)
    if derain_of(model) is not None:
        raise ValueError(
            "the detector has a de-rain neck already: adapt it as it was before, without one"
        )
    taught = read_all_labels(photos, model) if labels else []
    judged = [read_labels(file, model) for file in val]
    derain = derain or default_derain(model)
    blocks = build_early(model, early, seed=seed)
    prepare = prepare or prepare_of(model)
    in_front = build_filter(model, prepare, seed=seed) if image_filter else None
    rain = rain_of(renderer)
    found = find_photos(photos)
    warnings = rain.check(found)
    training, held_out = split_held_out(found.paths, seed=seed)
    detector = freeze(model, prepare, derain=derain, early=blocks, image_filter=in_front, seed=seed)
    left_out = [said for each in (*taught, *judged) if (said := each.warning)]
    for warning in [*warnings, *left_out, *warnings_for(detector, found, held_out)]:
        say(f"warning: {warning}")
    schedule = Schedule(
        1, min(MOST if batch_size is None else batch_size, len(training)), lr, severity=severity,
        clean_share=clean_share, crop=crop, distort=distort, seed=seed, amp=amp, labels=labels,
        weights=weights or LossWeights(), early=tuple(early), image_filter=image_filter,
    )  # fmt: skip
    is_free = batch_size is None
    workers = default_workers(detector.device) if workers is None else workers
    sizes = {photo: found.sizes[photo] for photo in training}
    schedule = begin(
        out, detector, sizes, schedule, length or Length(), rain=rain, is_batch_free=is_free,
        workers=workers, resume=resume,
    )  # fmt: skip
    plan = describe_plan(
        detector, found, training, held_out, schedule, rain=rain, is_batch_free=is_free
    )
    say(plan)
    if blocks is not None:
        say(f"early:     {blocks.describe()}")
    if in_front is not None:
        say(f"filter:    {in_front.describe()}")
    unchanged = _train(
        detector, training, schedule, work_dir=out / TRAINING, resume=resume, workers=workers,
        renderer=rain, labels=objects_of(taught) if labels else None, hooks=[ProgressHook()],
    )  # fmt: skip
    agreement, labelled = _measure(detector, held_out, judged, rain, seed)
    measured = dict(agreement=agreement.record(), with_labels=[each.record() for each in labelled])
    summary = dict(schedule.record(), photos=len(training), **measured)
    save_adapter(
        detector, out, base=base, derain=derain, base_sha256=base_sha256, rain=rain.record(),
        training=summary,
    )  # fmt: skip
    for table in (agreement.table(), *(each.table() for each in labelled)):
        say(f"\n{table}")
    say(f"The detector's weights and buffers are bitwise unchanged (SHA-256 {unchanged[:12]}).")
    return Adapted(detector, agreement, held_out, rain, out, labelled)


def _train(
    detector: FrozenDetector, training: Sequence[Path], schedule: Schedule, **options: Any
) -> str:
    """Train the blocks, and return the SHA-256 of the detector, which is the one from before."""
    before = hash_of(detector.weights())
    try:
        train(detector, training, schedule, **options)
    except torch.cuda.OutOfMemoryError as error:
        raise ValueError(
            f"a step of {schedule.batch_size} photos did not fit into the memory of "
            f"{detector.device}: begin anew, in another folder, with a smaller batch size"
        ) from error
    if hash_of(detector.weights()) != before:
        raise RuntimeError("training has changed the frozen detector: nothing was written")
    for block in detector.blocks.values():
        block.eval()
    return before


def _measure(
    detector: FrozenDetector,
    held_out: Sequence[Path],
    judged: Sequence[LabelledPhotos],
    rain: Rain,
    seed: int,
) -> tuple[Agreement, list[LabelledAP]]:
    number = len(held_out) + sum(len(each.objects) for each in judged)
    with tqdm(total=number, desc="measuring", unit="photo", disable=None) as bar:
        agreement = measure_agreement(
            detector, held_out, seed=seed, renderer=rain, on_photo=bar.update
        )
        return agreement, [measure_ap(detector, each, on_photo=bar.update) for each in judged]


def prepare_of(model: Any) -> Any:
    """Return what prepares images for a detector of mmdet: its config's test pipeline.

    Raises:
        ValueError: It has no config with one, or it is of transformers.
    """
    if not isinstance(model, BaseDetector):
        raise ValueError("a detector of transformers needs its image processor as prepare=")
    if getattr(model, "cfg", None) is None:
        raise ValueError(
            "the model has no cfg, so nothing says how its images are prepared: load it with "
            "mmdet's init_detector, or give prepare="
        )
    return PipelineSample(first_dataset(model.cfg, type(model).__name__)["pipeline"])


class PipelineSample:
    """Make a packed sample of an image by a test pipeline of mmdet.

    Args:
        pipeline: Its steps; the first one, which loads a file, is left out.
    """

    def __init__(self, pipeline: Sequence[Mapping[str, Any]]) -> None:
        load, *steps = pipeline
        self._steps = Compose([dict(load, type="mmdet.LoadImageFromNDArray"), *steps])

    def __call__(self, image: Any) -> Any:
        """Prepare ``(H, W, 3)`` uint8, BGR."""
        return self._steps(dict(img=image, img_id=0))
