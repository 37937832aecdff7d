"""mmdet's ``CocoMetric`` with labels by name, and with boxes evaluated from arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.fileio import get_local_path
from mmengine.logging import MMLogger
from pycocotools.cocoeval import COCOeval
from terminaltables import AsciiTable

from derain_plugin.datasets.annotations import AnnotationFile
from derain_plugin.evaluation.box_evaluation import (
    BoxDetections,
    BoxTruth,
    boxes_xywh,
    match_boxes,
)

PRECISIONS = ["mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"]
RECALLS = ["AR@100", "AR@300", "AR@1000", "AR_s@1000", "AR_m@1000", "AR_l@1000"]
STATS = [*PRECISIONS, *RECALLS]  # mmdet's names of what pycocotools' ``stats`` has, in its order


@METRICS.register_module()
class NamedCocoMetric(CocoMetric):
    """Evaluate what :class:`NamedCocoDataset` trains on: the same reader, the same labels.

    ``derain_plugin.load_config`` puts this class where a config has ``CocoMetric``, whose
    options it has. The metric ``bbox`` is that of pycocotools, computed from arrays by hotcoco
    (https://github.com/derekallman/hotcoco, MIT); json is written with ``outfile_prefix`` alone.
    The other metrics are mmdet's own.

    Raises:
        FileNotFoundError: There is no such annotation file.
        ValueError: It cannot be used, lacks a class, or does not list an image that was tested.
    """

    metrics: list[str]
    iou_thrs: np.ndarray

    def __init__(self, ann_file: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(None, *args, **kwargs)
        self.iou_thrs = np.atleast_1d(self.iou_thrs)
        if ann_file is not None:
            with get_local_path(ann_file, backend_args=self.backend_args) as local_path:
                self._coco_api = AnnotationFile(local_path, outlines="segm" in self.metrics)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict:
        """Write detections with the category of each label's class, where they are wanted."""
        if not self.metrics and self.outfile_prefix is None:
            return {}
        self.cat_ids = self._category_of_label()
        files = super().results2json(results, outfile_prefix)
        # COCOeval sorts them, and mmdet's table of classes follows COCOeval.
        self.cat_ids = sorted(self.cat_ids)
        return files

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all images.

        Args:
            results: Ground truth and detections of each image, as ``process`` keeps them.

        Returns:
            mmdet's names and values: ``bbox_mAP`` and so on, of three decimals.
        """
        metrics = self.metrics
        self.metrics = [metric for metric in metrics if metric != "bbox"]
        try:
            values = super().compute_metrics(results)  # also reads ids, and writes files
        finally:
            self.metrics = metrics
        if self.format_only or "bbox" not in metrics:
            return values
        boxes = self._box_metrics([found for _, found in results])
        return {**boxes, **values} if metrics[0] == "bbox" else {**values, **boxes}

    def evaluate_boxes(self, found: Sequence[dict]) -> COCOeval:
        """Evaluate detections, and print COCO's summary.

        Args:
            found: ``img_id``, ``bboxes``, ``labels`` and ``scores`` of each image.

        Returns:
            What pycocotools' would hold, as far as ``eval`` and ``stats`` go.
        """
        image_ids = sorted(self._coco_api.imgs)
        category_ids = sorted(set(self._category_of_label()))
        annotations = self._coco_api.dataset.get("annotations", ())
        matched = match_boxes(
            BoxTruth.of(annotations, image_ids=image_ids, category_ids=category_ids),
            self._detections(found, image_ids, category_ids),
            iou_thresholds=self.iou_thrs,
            max_detections=self.proposal_nums,
        )
        matched.accumulate()
        evaluation = COCOeval(iouType="bbox")
        evaluation.params.iouThrs = self.iou_thrs
        evaluation.params.maxDets = sorted(self.proposal_nums)
        evaluation.eval = matched.eval
        evaluation.summarize()
        return evaluation

    def _category_of_label(self) -> list[int]:
        return self._coco_api.get_cat_ids(cat_names=self.dataset_meta["classes"])

    def _detections(
        self, found: Sequence[dict], image_ids: Sequence[int], category_ids: Sequence[int]
    ) -> BoxDetections:
        tested = np.array([each["img_id"] for each in found])
        image = np.searchsorted(image_ids, tested)
        if len(unknown := np.setdiff1d(tested, image_ids)):
            raise ValueError(
                f"image {unknown[0]} was tested, but the metric's ann_file does not list it: give "
                "the annotation file of the test's dataset"
            )
        # The labels of an image without detections may be of any type.
        labels = np.concatenate([each["labels"] for each in found]).astype(np.int64)
        categories = np.searchsorted(category_ids, self._category_of_label())
        return BoxDetections(
            image=np.repeat(image, [len(each["labels"]) for each in found]),
            category=categories[labels],
            boxes=boxes_xywh(np.concatenate([each["bboxes"].reshape(-1, 4) for each in found])),
            score=np.concatenate([each["scores"] for each in found]).astype(np.float64),
        )

    def _box_metrics(self, found: Sequence[dict]) -> dict[str, float]:
        logger: MMLogger = MMLogger.get_current_instance()
        logger.info("Evaluating bbox...")
        if not any(len(each["labels"]) for each in found):
            logger.error("The testing results of the whole dataset is empty.")
            return {}
        items = PRECISIONS if self.metric_items is None else self.metric_items
        if unknown := [item for item in items if item not in STATS]:
            raise KeyError(f'metric item "{unknown[0]}" is not supported')
        evaluation = self.evaluate_boxes(found)
        values = {}
        if self.classwise:
            rows = list(self._rows_of_classes(evaluation.eval["precision"]))
            values = {f"{name}_precision": precisions[0] for name, *precisions in rows}
            table = [["category", *PRECISIONS], *([str(cell) for cell in row] for row in rows)]
            logger.info("\n" + AsciiTable(table).table)
        for item in items:
            values[f"bbox_{item}"] = round(float(evaluation.stats[STATS.index(item)]), 3)
        precisions = " ".join(f"{value:.3f}" for value in evaluation.stats[:6])
        logger.info(f"bbox_mAP_copypaste: {precisions}")
        return values

    def _rows_of_classes(self, precision: np.ndarray) -> Iterator[list]:
        """Give each class's name and ``PRECISIONS``; nan where it has no such boxes.

        Args:
            precision: ``(IoU thresholds, recalls, classes, areas, max detections)``.
        """
        for number, category in enumerate(sorted(self.cat_ids)):
            all_areas, *areas = np.moveaxis(precision[:, :, number, :, -1], 2, 0)
            parts = [all_areas, *(all_areas[self.iou_thrs == t] for t in (0.5, 0.75)), *areas]
            known = [part[part > -1] for part in parts]
            means = [round(part.mean(), 3) if part.size else float("nan") for part in known]
            yield [self._coco_api.cats[category]["name"], *means]
