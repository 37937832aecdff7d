"""A training set that shows every image once per epoch, clean or rainy."""

import logging
import random
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import print_log

from derain_plugin.datasets.mix_side import build_sides, list_images, refuse_same_files
from derain_plugin.datasets.rain_draw import RainDraw, check_options
from derain_plugin.datasets.seeded_dataset import SeededDataset


@DATASETS.register_module()
class RainMixDataset(SeededDataset):
    """Mix a clean and a rainy version of the same images at an exact ratio.

    Each side is the config of a whole dataset with its own pipeline and
    ``filter_cfg``. The rainy side is either a rendered copy on disk (another
    ``data_root``) or the clean dataset with ``SyntheticRain`` in its pipeline.
    The file name below the image folder says which images are the same;
    images that are listed but not on disk count as not there.

    :class:`RainDraw` defines which images are used when the sides differ, and
    draws which are rainy. Index and image belong together for the life of the
    dataset; an epoch only decides the side. ``EpochSeedHook`` tells the epoch;
    without it every epoch is epoch 0.

    The hook also tells the run's seed; see :class:`SeededDataset` for what follows from it. An
    image that comes twice in an epoch (``RepeatDataset``) looks the same twice. Not covered are
    wrappers that draw themselves (``MultiImageMixDataset``) and transforms with a generator or a
    memory of their own.

    ``rainy`` (bool) is in the ``results`` that enter the pipeline and in the
    metainfo of the packed data sample. It is the side that the sample came from.

    An image that cannot be read is replaced by another one from the same side
    (so the ratio holds on average), with a warning that names the file. A
    pipeline that returns None for a good image gets another one silently, as
    in mmengine. At most the side's ``max_refetch`` times.

    Args:
        clean: Config of the clean dataset (one derived from ``BaseDataset``).
        rainy: Config of the rainy dataset with the same classes.
        rain_ratio: Rainy share of an epoch, 0-1, exact to one image.
        percent: Share of the images that is used, in (0, 100]; always the same ones.
        seed: Seed of that choice and, with the epoch, of which images are rainy. Not
            the run's: runs with several seeds shall see the same rain.

    Raises:
        TypeError: An argument has the wrong type.
        FileNotFoundError: An annotation file or image folder is missing.
        ValueError: A number is out of range, the classes differ, a side is
            empty, or the sides have no file name in common.
    """

    def __init__(
        self,
        clean: dict,
        rainy: dict,
        *,
        rain_ratio: float = 0.7,
        percent: float = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # Before the annotations, which take long to load.
        check_options(rain_ratio=rain_ratio, percent=percent, seed=seed)
        self._sides = build_sides(clean, rainy)
        _check_classes(*self._sides)
        indices = _match(*self._sides)  # (2, P)
        on_clean, on_rainy = indices >= 0
        self._draw = RainDraw(on_clean, on_rainy, rain_ratio=rain_ratio, percent=percent, seed=seed)
        self._indices = indices[:, self._draw.images]  # (2, N)
        if not (on_clean & on_rainy).all():
            _log_difference(on_clean, on_rainy, self._draw, rain_ratio)
            _log_filters(*self._sides)

    @property
    def metainfo(self) -> dict:
        """Meta information of the clean side; both have the same classes."""
        return self._sides[0].metainfo

    def __len__(self) -> int:
        """Return the number of images, the same in every epoch."""
        return self._indices.shape[1]

    def get_data_info(self, idx: int) -> dict:
        """Return the annotations of the side that image ``idx`` shows in this epoch."""
        dataset, index, rainy = self._locate(idx)
        info = dataset.get_data_info(index)
        return {**info, "sample_idx": int(idx) % len(self), "rainy": rainy}

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels in image ``idx``, for class-balanced sampling."""
        dataset, index, _ = self._locate(idx)
        return dataset.get_cat_ids(index)

    def draw_sample(self, idx: int) -> Any:
        """Return what the pipeline of the image's side makes of it.

        Raises:
            RuntimeError: Nor does it make anything of the others that were tried.
        """
        dataset, _, rainy = self._locate(idx)
        for _ in range(dataset.max_refetch + 1):
            sample = self._fetch(idx)
            if sample is not None:
                return sample
            idx = int(random.choice(np.flatnonzero(self._is_rainy() == rainy)))
        side = "rainy" if rainy else "clean"
        raise RuntimeError(
            f"no usable {side} image in {dataset.max_refetch + 1} tries; check {side}.pipeline "
            f"and the images, for example {self.get_data_info(idx)['img_path']!r}"
        )

    def _is_rainy(self) -> np.ndarray:
        return self._draw.rainy(self.epoch)

    def _locate(self, idx: int) -> tuple[BaseDataset, int, bool]:
        rainy = bool(self._is_rainy()[idx])
        return self._sides[rainy], int(self._indices[int(rainy), idx]), rainy

    def _fetch(self, idx: int) -> Any:
        info = self.get_data_info(idx)
        path, rainy = info["img_path"], info["rainy"]
        pipeline, error = self._sides[rainy].pipeline, None
        try:
            sample = pipeline(info)
        except Exception as raised:
            sample, error = None, raised
        if sample is None:
            if not _is_loadable(self.get_data_info(idx), pipeline):
                message = f"cannot read image {path!r} ({error!r}); another one takes its place"
                print_log(message, logger="current", level=logging.WARNING)
            elif error is not None:
                raise error
        elif "data_samples" in sample:
            # The pipeline's meta_keys need not name it.
            sample["data_samples"].set_metainfo(dict(rainy=rainy))
        return sample


def _is_loadable(info: dict, pipeline: Compose) -> bool:
    """Tell a bad image from a bad pipeline: does the first transform load it alone?"""
    try:
        return pipeline.transforms[0](info) is not None
    except Exception:
        return False


def _check_classes(clean: BaseDataset, rainy: BaseDataset) -> None:
    classes = [tuple(side.metainfo.get("classes", ())) for side in (clean, rainy)]
    if classes[0] != classes[1]:
        raise ValueError(
            f"the sides have different classes: clean {classes[0]}, rainy {classes[1]}; "
            "set the same metainfo.classes in both"
        )


def _match(clean: BaseDataset, rainy: BaseDataset) -> np.ndarray:
    """Return (2, P) int: index on the clean and the rainy side of each image, -1 for none."""
    sides = list_images("clean", clean), list_images("rainy", rainy)
    if sides[0].keys().isdisjoint(sides[1]):
        raise ValueError(
            "the sides have no file name in common: clean has for example "
            f"{next(iter(sides[0]))!r}, rainy {next(iter(sides[1]))!r}"
        )
    refuse_same_files(clean, rainy, sides)
    names = sorted(sides[0].keys() | sides[1].keys())
    return np.array([[side.get(name, -1) for name in names] for side in sides])


def _log_difference(
    on_clean: np.ndarray, on_rainy: np.ndarray, draw: RainDraw, rain_ratio: float
) -> None:
    print_log(
        f"RainMixDataset: the sides differ: {on_clean.sum()} clean and {on_rainy.sum()} rainy "
        f"images, {(on_clean & on_rainy).sum()} on both sides. The largest set that keeps "
        f"rain_ratio={rain_ratio} has {draw.largest} of the {len(on_clean)} images; those on "
        "one side only are shown only so.",
        logger="current",
        level=logging.WARNING,
    )


def _log_filters(clean: BaseDataset, rainy: BaseDataset) -> None:
    if clean.filter_cfg != rainy.filter_cfg:
        print_log(
            f"RainMixDataset: clean.filter_cfg={clean.filter_cfg} and rainy.filter_cfg="
            f"{rainy.filter_cfg} keep different images. Those that only the clean side keeps, such "
            "as images without objects, are never rainy: give both sides the same filter_cfg.",
            logger="current",
            level=logging.WARNING,
        )
