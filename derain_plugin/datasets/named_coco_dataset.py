"""mmdet's ``CocoDataset`` with labels by name, which says what its filters drop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmcv.transforms import LoadAnnotations
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import get_local_path
from mmengine.logging import print_log

from derain_plugin.datasets.annotations import AnnotationFile


@DATASETS.register_module()
class NamedCocoDataset(CocoDataset):
    """Number labels in the order of ``metainfo["classes"]``, whatever the file's order.

    Annotations are read by ``read_annotations``, as :class:`NamedCocoMetric` reads them; without
    their outlines where ``LoadAnnotations`` in the pipeline has no ``with_mask``.
    ``derain_plugin.load_config`` puts this class where a config has ``CocoDataset``, whose
    options it has.

    Raises:
        FileNotFoundError: There is no such annotation file.
        ValueError: It cannot be used, or lacks a class.
    """

    COCOAPI = AnnotationFile
    _read_for: str | None = None  # the image folder that is in the annotations' paths

    def load_data_list(self) -> list[dict]:
        """Read the annotations; in training, log how many boxes are not trained on."""
        self._num_boxes = self._num_crowds = self._num_others = 0
        self._read_for = self.data_prefix["img"]
        with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
            coco = self.COCOAPI(path, outlines=self._uses_outlines())
        self.cat_ids = coco.get_cat_ids(cat_names=self.metainfo["classes"])
        self.cat2label = {category: label for label, category in enumerate(self.cat_ids)}
        images_of = coco.cat_img_map  # without the categories of which there is no box
        self.cat_img_map = {key: np.unique(images_of.get(key, [])) for key in self.cat_ids}
        data_list: list[Any] = [
            self.parse_data_info(
                dict(raw_img_info=dict(image, img_id=key), raw_ann_info=coco.imgToAnns.get(key, []))
            )
            for key, image in coco.imgs.items()
        ]
        self._is_relative = not any(os.path.isabs(i["file_name"]) for i in coco.imgs.values())
        if not self.test_mode and self._num_crowds + self._num_others:
            print_log(
                f"{self.ann_file}: of {self._num_boxes} boxes, {self._num_others} are of other "
                f"categories than classes, and {self._num_crowds} are crowds, marked ignore, "
                "under 1 px or beside their image: not trained on",
                logger="current",
            )
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> dict | list[dict]:
        """Return what training needs of an image and its annotations."""
        annotations = raw_data_info["raw_ann_info"]
        wanted = [a for a in annotations if a["category_id"] in self.cat2label]
        self._num_boxes += len(annotations)
        self._num_others += len(annotations) - len(wanted)
        self._num_crowds += sum(annotation["iscrowd"] for annotation in wanted)
        return super().parse_data_info(raw_data_info)

    def get_data_info(self, idx: int) -> dict:
        """Return what training needs of an image, with its path where this dataset has it."""
        info: dict = super().get_data_info(idx)
        if self._read_for not in (None, self.data_prefix["img"]):  # the annotations are lent
            name = info["img_path"].removeprefix(os.path.join(self._read_for, ""))
            info["img_path"] = os.path.join(self.data_prefix["img"], name)
        return info

    def can_lend_to(self, other: NamedCocoDataset) -> bool:
        """Whether another dataset would read these annotations, too.

        Args:
            other: One of the same options but for its pipeline, and its folders.
        """
        ours, theirs = dict(self.data_prefix), dict(other.data_prefix)
        is_elsewhere = ours.pop("img") != theirs.pop("img")
        if ours != theirs or (is_elsewhere and not self._is_relative):
            return False
        return self._uses_outlines() or not other._uses_outlines()

    def _uses_outlines(self) -> bool:
        loading = [step for step in _steps(self.pipeline) if isinstance(step, LoadAnnotations)]
        return not loading or any(getattr(step, "with_mask", False) for step in loading)

    def filter_data(self) -> list[dict]:
        """Filter images by ``filter_cfg``, and log how many it drops."""
        kept = super().filter_data()
        if dropped := len(self.data_list) - len(kept):
            least = self.filter_cfg.get("min_size", 0)
            small = sum(_is_smaller(info, least) for info in self.data_list)
            print_log(
                f"{self.ann_file}: filter_cfg drops {dropped} of {len(self.data_list)} images: "
                f"{small} under min_size={least} px, {dropped - small} without an object of "
                "classes (filter_empty_gt=False keeps them)",
                logger="current",
            )
        return kept


def _steps(pipeline: Any) -> Iterator[Any]:
    """Give the transforms of a pipeline, and those inside of such as ``RandomApply``."""
    inner = getattr(pipeline, "transforms", pipeline if isinstance(pipeline, list | tuple) else ())
    for step in inner:
        yield step
        yield from _steps(step)


def _is_smaller(info: dict[str, Any], least: int) -> bool:
    return min(info["width"], info["height"]) < least
