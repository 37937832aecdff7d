"""What rendering rain costs, beside other generators and the rest of a training pipeline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader, Dataset

from derain_plugin.config import load_config
from derain_plugin.datasets.transforms import HeldOutRain
from derain_plugin.rain import COMPONENTS, SEVERITIES, render_rain, version_2
from derain_plugin.rain.photos import load_photos
from projects.benchmark import CONFIGS
from projects.benchmark.timing import ROUNDS, times_in_turns

SIZE = 640, 480  # px, about COCO's median
BATCH_SIZE, WORKERS = 16, 4
RAINY_SHARE = 0.7  # of a training epoch
EPOCH = 20 * BATCH_SIZE
YARDSTICK = "albumentations RandomRain"
EARLIER = "severity 3, renderer version 2"
PHOTOS = (
    "astronaut", "cell", "coins", "grass", "hubble_deep_field", "immunohistochemistry", "moon",
    "page", "retina", "stereo_motorcycle", "brick", "camera", "coffee", "rocket", "text",
)  # fmt: skip
"""Names in ``skimage.data`` of what the data loader reads."""


def rendering_times() -> dict[str, float]:
    """Return median milliseconds per 640 x 480 image on one thread, all in turns in one run.

    Each is timed right after an untimed call of its own: the first call after another generator's
    takes longer.
    """
    photo = cv2.resize(load_photos("coffee")[0], SIZE)
    held_out = HeldOutRain(seed=0)
    runs = {f"severity {k}": _in_turn(render_rain, photo, k) for k in SEVERITIES}
    for name in COMPONENTS:
        runs[f"severity 3, {name} alone"] = _in_turn(render_rain, photo, 3, components=name)
    runs[EARLIER] = _in_turn(version_2.render_rain, photo, 3)
    runs[YARDSTICK] = _random_rain(photo)
    runs["imgaug Rain, held out"] = lambda: held_out(dict(img=photo, img_id=0))
    with _one_thread():
        times = times_in_turns([[run, run] for run in runs.values()], rounds=ROUNDS)
    return {name: statistics.median(each) for name, (_, each) in zip(runs, times, strict=True)}


def _in_turn(
    render: Callable[..., object], *args: object, **options: object
) -> Callable[[], object]:
    """Render with another seed at every call, as seeds decide which components an image gets."""
    seeds = count()
    return lambda: render(*args, seed=next(seeds), **options)


def loader_rates(folder: Path, *, rounds: int = 5) -> dict[str, float]:
    """Return images per second of a data loader, without rain and with a rainy share of 0.7.

    Batch 16, 4 workers, the shipped training pipeline on JPEG photos of 640 x 480.

    Args:
        folder: Where to write the photos.
        rounds: How often each is timed, in turns; the medians are returned.
    """
    init_default_scope("mmdet")  # where the pipeline's steps are registered
    load, *rest = load_config(CONFIGS / "_base_/datasets/coco_rain_mix.py").train_pipeline
    rain = dict(type="SyntheticRain", severity=3, prob=RAINY_SHARE)
    images = _write_photos(folder)
    loaders = [
        DataLoader(
            _Images(images, steps),
            batch_size=BATCH_SIZE,
            num_workers=WORKERS,
            persistent_workers=True,
            collate_fn=pseudo_collate,
        )
        for steps in ([load, *rest], [load, rain, *rest])
    ]
    times: list[list[float]] = [[], []]
    with _one_thread():  # as mmengine's env_cfg sets it for workers
        for turn in range(rounds + 1):
            for loader, found in zip(loaders, times, strict=True):
                seconds = _epoch_seconds(loader)
                if turn:  # the first starts the workers
                    found.append(seconds)
    clean, rainy = (EPOCH / float(np.median(found)) for found in times)
    return {"without rain": clean, "with rain": rainy}


def _epoch_seconds(loader: DataLoader) -> float:
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start


class _Images(Dataset):
    def __init__(self, images: list[dict], steps: list[dict]) -> None:
        self._images, self._pipeline = images, Compose(steps)

    def __len__(self) -> int:
        return EPOCH

    def __getitem__(self, index: int) -> dict:
        image = self._images[index % len(self._images)]
        return self._pipeline(dict(image, instances=[dict(b) for b in image["instances"]]))


def _write_photos(folder: Path) -> list[dict]:
    box = dict(bbox=[150, 90, 480, 400], bbox_label=0, ignore_flag=0)
    images = []
    for number, photo in enumerate(load_photos(*PHOTOS)):
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), cv2.resize(photo, SIZE))
        images.append(
            dict(img_path=str(path), img_id=number, height=480, width=640, instances=[box])
        )
    return images


def _random_rain(photo: np.ndarray) -> Callable[[], object]:
    try:
        import albumentations
    except ImportError as error:
        raise ImportError(
            "the yardstick is albumentations: pip install --no-deps -r "
            "requirements/rain_generators.txt"
        ) from error
    rain = albumentations.RandomRain(p=1)
    return lambda: rain(image=photo)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
