"""mmdet's ``CocoDataset`` with labels by name, which says what its filters drop."""

from __future__ import annotations

from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from derain_plugin.datasets.annotations import AnnotationFile


@DATASETS.register_module()
class NamedCocoDataset(CocoDataset):
    """Number labels in the order of ``metainfo["classes"]``, whatever the file's order.

    Annotations are read by ``read_annotations``, as :class:`NamedCocoMetric` reads them.
    ``derain_plugin.load_config`` puts this class where a config has ``CocoDataset``, whose
    options it has.

    Raises:
        FileNotFoundError: There is no such annotation file.
        ValueError: It cannot be used, or lacks a class.
    """

    COCOAPI = AnnotationFile

    def load_data_list(self) -> list[dict]:
        """Read the annotations; in training, log how many boxes are not trained on."""
        self._num_boxes = self._num_crowds = self._num_others = 0
        data_list = super().load_data_list()
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


def _is_smaller(info: dict[str, Any], least: int) -> bool:
    return min(info["width"], info["height"]) < least
