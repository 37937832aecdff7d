"""What a training sample costs: mmdet's steps, ours, and transformers' recipe, in turns."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from derain_plugin.config import load_config
from derain_plugin.rain.photos import load_photos
from projects.benchmark import CONFIGS
from projects.benchmark.rain_cost import BATCH_SIZE, PHOTOS, RAINY_SHARE, SIZE

Sample = Mapping[str, Any]
Recipe = Callable[[Sample], Any]

EARLIER, OURS, PEER = "mmdet's steps", "shipped", "transformers' recipe"
RAIN = dict(type="SyntheticRain", severity=(1, 5), prob=RAINY_SHARE)
MMDETS: list[dict] = [
    dict(type="LoadImageFromFile"),
    RAIN,
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PhotoMetricDistortion"),
    dict(type="Expand", mean=[0, 0, 0], to_rgb=False, ratio_range=(1, 4), prob=0.5),
    dict(type="RandomApply", transforms=[dict(type="MinIoURandomCrop")], prob=0.8),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Resize", scale=(640, 640), keep_ratio=False),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="PackDetInputs"),
]
"""The shipped pipeline until its steps kept the image uint8; the rain is today's."""
MOST_BOXES = 14  # of a generated image; COCO has 7.3 in the mean
PREFETCHED = 2  # batches that a worker of torch's DataLoader holds


def recipes() -> dict[str, Recipe]:
    """Return what turns a sample of :func:`write_samples` into a training sample, by name."""
    init_default_scope("mmdet")  # where the pipelines' steps are registered
    load, *rest = load_config(CONFIGS / "_base_/datasets/coco_rain_mix.py").train_pipeline
    return {
        EARLIER: _pipeline(MMDETS),
        OURS: _pipeline([load, RAIN, *rest]),
        PEER: _transformers_recipe(),
    }


def _pipeline(steps: Sequence[dict]) -> Recipe:
    compose = Compose(steps)
    return lambda sample: compose(dict(sample))


def _transformers_recipe() -> Recipe:
    """Return what transformers' guide to fine-tuning RT-DETR does, with rain before it.

    https://huggingface.co/docs/transformers/tasks/object_detection, November 2026: PIL reads,
    albumentations augments, ``RTDetrImageProcessor`` makes tensors.
    """
    try:
        import albumentations
    except ImportError as error:
        raise ImportError(
            "transformers' recipe augments with albumentations: pip install --no-deps -r "
            "requirements/rain_generators.txt"
        ) from error
    from PIL import Image
    from transformers import RTDetrImageProcessorPil

    augment = albumentations.Compose(
        [
            albumentations.RandomRain(p=RAINY_SHARE),
            albumentations.Perspective(p=0.1),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(p=0.5),
            albumentations.HueSaturationValue(p=0.1),
        ],
        bbox_params=albumentations.BboxParams(
            format="pascal_voc", label_fields=["category"], clip=True, min_area=25
        ),
    )
    process = RTDetrImageProcessorPil()

    def recipe(sample: Sample) -> Any:
        with Image.open(sample["img_path"]) as file:
            image = np.array(file.convert("RGB"))
        boxes = [instance["bbox"] for instance in sample["instances"]]
        labels = [instance["bbox_label"] for instance in sample["instances"]]
        found = augment(image=image, bboxes=boxes, category=labels)
        annotations = dict(
            image_id=sample["img_id"], annotations=_coco(found["bboxes"], found["category"])
        )
        return process(images=found["image"], annotations=annotations, return_tensors="pt")

    return recipe


def _coco(corners: Sequence[Sequence[float]], labels: Sequence[int]) -> list[dict]:
    sizes = [(x, y, right - x, bottom - y) for x, y, right, bottom in corners]
    return [
        dict(bbox=size, area=size[2] * size[3], category_id=int(label), iscrowd=0)
        for size, label in zip(sizes, labels, strict=True)
    ]


def write_samples(folder: Path, *, photos: Sequence[str]) -> list[dict]:
    """Write JPEG photos of 640 x 480 with drawn boxes, as a dataset lists them."""
    rng = np.random.default_rng(0)
    samples = []
    for number, photo in enumerate(load_photos(*photos)):
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), cv2.resize(photo, SIZE))
        shape = dict(width=SIZE[0], height=SIZE[1])
        samples.append(dict(img_path=str(path), img_id=number, instances=_draw_boxes(rng), **shape))
    return samples


def _draw_boxes(rng: np.random.Generator) -> list[dict]:
    count = rng.integers(1, MOST_BOXES + 1)
    corners = rng.uniform(0, 0.8, (count, 2))
    boxes = np.hstack([corners, np.minimum(corners + rng.uniform(0.03, 0.5, (count, 2)), 1)])
    return [
        dict(bbox=box.tolist(), bbox_label=int(rng.integers(80)), ignore_flag=0)
        for box in boxes * (SIZE * 2)
    ]


def measure_times(
    arms: Mapping[str, Recipe], samples: Sequence[Sample], *, rounds: int
) -> dict[str, list[float]]:
    """Return the CPU milliseconds per image of each arm and round, on one thread.

    In a round every arm makes a sample of each image, with the same seeds. CPU time is that of
    the thread, so that others on the machine weigh less.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    with _one_thread():
        for turn in range(-1, rounds):  # the first is to warm up
            for name, recipe in arms.items():
                taken = _cpu_milliseconds(recipe, samples, seed=turn + 1)
                if turn >= 0:
                    times[name].append(taken)
    return times


def _cpu_milliseconds(recipe: Recipe, samples: Sequence[Sample], *, seed: int) -> float:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    start = time.thread_time()
    for sample in samples:
        recipe(sample)
    return 1000 * (time.thread_time() - start) / len(samples)


def paired_ratio(others: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of paired ratios of times, and its 95 % bootstrap interval."""
    ratios = np.divide(others, ours)
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def worker_megabytes(recipe: Recipe, samples: Sequence[Sample], *, batches: int) -> float:
    """Return the peak of a worker's memory (MB) above what it has after its first sample.

    The worker is forked and holds batches, as those of torch's DataLoader on Linux. By the first
    sample it has mapped the libraries that it needs, which are its parent's memory.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(sender, recipe, samples, batches))
    with _one_thread():  # set before: a fork has none of the threads that OpenCV would wait for
        worker.start()
    sender.close()
    try:
        return receiver.recv() / 1e6
    finally:
        worker.join()


def _work(sender: Any, recipe: Recipe, samples: Sequence[Sample], batches: int) -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    recipe(samples[0])
    Path("/proc/self/clear_refs").write_text("5")  # the peak from now on
    before = _status_bytes("VmRSS")
    held: list[object] = []
    for batch in range(batches):
        places = range(batch * BATCH_SIZE, (batch + 1) * BATCH_SIZE)
        made = [recipe(samples[place % len(samples)]) for place in places]
        held = [*held, pseudo_collate(made)][-PREFETCHED:]
    sender.send(_status_bytes("VmHWM") - before)


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def bytes_of(made: Any) -> int:
    """Return the bytes of the pixels that a recipe hands to the collate function."""
    pixels = made["inputs"] if "inputs" in made else made["pixel_values"]
    return sum(tensor.nbytes for tensor in ([pixels] if torch.is_tensor(pixels) else pixels))


def measure(folder: Path, *, rounds: int, batches: int) -> dict[str, Any]:
    """Measure every recipe.

    Returns:
        ``times`` by recipe (ms per image of each round), ``images`` of a round, and ``recipes``:
        for each its median milliseconds, its time relative to ours with the interval, megabytes of
        a worker and of a sample's pixels.
    """
    arms, samples = recipes(), write_samples(folder, photos=PHOTOS)
    times = measure_times(arms, samples, rounds=rounds)
    rows = []
    for name, recipe in arms.items():
        ratio, low, high = paired_ratio(times[name], times[OURS])
        rows.append(
            dict(
                recipe=name,
                milliseconds=statistics.median(times[name]),
                relative=ratio,
                relative_interval=[low, high],
                worker_mb=worker_megabytes(recipe, samples, batches=batches),
                sample_mb=bytes_of(recipe(samples[0])) / 1e6,
            )
        )
    return dict(recipes=rows, times=times, images=len(samples))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
