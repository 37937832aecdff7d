"""A test set of the same images under several conditions, image after image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
class InterleavedDataset(ConcatDataset):
    """A ``ConcatDataset`` in another order: the first sample of each dataset, then the second, ...

    Where the datasets are conditions of a test, they show the same images, and whoever loads the
    samples in their order reads each image once: the ``LoadImageFromFile`` with which pipelines
    begin, if its options are the same, keeps the last image. On several ranks, among which a
    sampler deals single samples, less is saved. A shorter dataset ends earlier.

    Its ``metainfo`` says ``interleaved``, so that ``CleanRainEvaluator`` knows the order.

    Args:
        datasets: Datasets, or configs of some.
        **options: Of ``ConcatDataset``.
    """

    def __init__(self, datasets: Sequence[BaseDataset | dict], **options: Any) -> None:
        super().__init__(datasets, **options)
        for meta in self._metainfo if isinstance(self._metainfo, list) else [self._metainfo]:
            meta["interleaved"] = True
        _share_reading(self.datasets)

    def full_init(self) -> None:
        """Read the annotations."""
        super().full_init()
        self._order = _order(self.cumulative_sizes)

    def _get_ori_dataset_idx(self, idx: int) -> tuple[int, int]:
        self.full_init()
        return super()._get_ori_dataset_idx(int(self._order[idx]))


def parts_in_order(metainfo: dict | Sequence[dict]) -> np.ndarray:
    """Return which of several datasets each sample of a test is of, ``(n,)``, in the test's order.

    Args:
        metainfo: Of an ``InterleavedDataset`` or of mmdet's ``ConcatDataset``: one dict, or one per
            dataset where they differ.
    """
    meta = metainfo if isinstance(metainfo, dict) else metainfo[0]
    sizes = meta["cumulative_sizes"]
    parts = np.repeat(np.arange(len(sizes)), np.diff(sizes, prepend=0))
    return parts[_order(sizes)] if meta.get("interleaved") else parts


def _order(cumulative_sizes: Sequence[int]) -> np.ndarray:
    """Return the place among the concatenated datasets of each sample, ``(n,)``."""
    places = [np.arange(size) for size in np.diff(cumulative_sizes, prepend=0)]
    return np.argsort(np.concatenate(places), kind="stable")


class _ReadOnce:
    """What ``load`` does, but an image that is asked for again at once is not read again."""

    def __init__(self, load: LoadImageFromFile) -> None:
        self.load = load
        self._path: str | None = None
        self._read: dict[str, Any] = {}

    def __call__(self, results: dict) -> dict | None:
        path = results["img_path"]
        if path != self._path:
            found = self.load(dict(img_path=path))
            if found is None:  # with ignore_empty
                return None
            self._path, self._read = path, found
        return results | self._read | dict(img=self._read["img"].copy())

    def __repr__(self) -> str:
        return repr(self.load)


def _share_reading(datasets: Sequence[Any]) -> None:
    readers: list[_ReadOnce] = []
    for dataset in datasets:
        steps = getattr(getattr(dataset, "pipeline", None), "transforms", None) or [None]
        if type(steps[0]) is LoadImageFromFile:
            alike = [reader for reader in readers if vars(reader.load) == vars(steps[0])]
            if not alike:
                readers += (alike := [_ReadOnce(steps[0])])
            steps[0] = alike[0]
