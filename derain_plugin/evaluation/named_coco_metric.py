"""mmdet's ``CocoMetric`` with labels by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.fileio import get_local_path

from derain_plugin.datasets.annotations import AnnotationFile


@METRICS.register_module()
class NamedCocoMetric(CocoMetric):
    """Evaluate what :class:`NamedCocoDataset` trains on: the same reader, the same labels.

    ``derain_plugin.load_config`` puts this class where a config has ``CocoMetric``, whose
    options it has.

    Raises:
        FileNotFoundError: There is no such annotation file.
        ValueError: It cannot be used, or lacks a class.
    """

    def __init__(self, ann_file: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(None, *args, **kwargs)
        if ann_file is not None:
            with get_local_path(ann_file, backend_args=self.backend_args) as local_path:
                self._coco_api = AnnotationFile(local_path)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict:
        """Write detections with the category of each label's class."""
        self.cat_ids = self._coco_api.get_cat_ids(cat_names=self.dataset_meta["classes"])
        files = super().results2json(results, outfile_prefix)
        # COCOeval sorts them, and mmdet's table of classes follows COCOeval.
        self.cat_ids = sorted(self.cat_ids)
        return files
