"""One evaluation run over clean and rainy images, and the gap between them."""

from collections.abc import Sequence
from typing import Any

from mmdet.registry import EVALUATOR
from mmengine.dist import (
    broadcast_object_list,
    collect_results,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.evaluator.metric import _to_cpu
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from derain_plugin.datasets.interleaved_dataset import parts_in_order
from derain_plugin.evaluation.robustness import (
    as_report,
    comparable_rows,
    rain_gaps,
    robustness,
    robustness_table,
)

# Stands for a sample of another dataset; collect_results would drop a None.
ELSEWHERE = "elsewhere"


@EVALUATOR.register_module()
class CleanRainEvaluator(Evaluator):
    """Evaluate each of several datasets with its own metric, and add the gap.

    The datasets are those of an ``InterleavedDataset`` or of mmdet's ``ConcatDataset``.

    ``gap/bbox_mAP`` is the clean value minus the mean over the rainy datasets, what rain costs;
    the same for ``mAP_50``. With a dataset per severity, ``robustness/bbox_P``, ``bbox_mPC`` and
    ``bbox_rPC`` are the measures of Michaelis et al. (https://arxiv.org/abs/1907.07484): AP on
    clean images, its mean over the severities, and the share of the former that the latter is.

    Each sample goes only to the metric of its dataset, so the work does not grow with the number
    of datasets. Which dataset that is follows from the order in which a non-shuffling
    ``DefaultSampler`` deals samples to the ranks. Metrics must add one result per sample, as
    ``CocoMetric`` does. Metrics appended after construction, such as the ``DumpDetResults`` of
    ``tools/test.py --out``, see all samples, in their order and with the prefix of their
    dataset under ``dataset``.

    Args:
        metrics: One metric (or config of one) per dataset, in the order of the datasets.
        dataset_prefixes: Names of the datasets in the results, the clean one first.
        rainy_prefixes: Those of the datasets that show the clean one's images in rain, and make
            up gap and mPC; default all but the first. Empty where the rainy images are others:
            then there is nothing to compare.

    Raises:
        ValueError: If prefixes, metrics and datasets differ in number, prefixes repeat, or
            ``rainy_prefixes`` has one that is not there.

    Attributes:
        report: What the last evaluation found: ``conditions`` maps each dataset to its ``AP``,
            ``AP50``, ``AP75``, ``AP_S``, ``AP_M``, ``AP_L`` (None without such boxes);
            ``gap`` and ``robustness`` as above. None before.
    """

    def __init__(
        self,
        metrics: Sequence[dict | BaseMetric],
        dataset_prefixes: Sequence[str] = ("clean", "rainy"),
        rainy_prefixes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(metrics)
        self.dataset_prefixes = list(dataset_prefixes)
        if len(self.metrics) != len(self.dataset_prefixes) or len(self.metrics) < 2:
            raise ValueError(
                "CleanRainEvaluator needs one metric per dataset, two at least, got "
                f"{len(self.metrics)} metrics for dataset_prefixes={self.dataset_prefixes}"
            )
        names = self.dataset_prefixes
        taken = ("gap", "robustness")
        if len(set(names)) < len(names) or any(name in taken or "/" in name for name in names):
            raise ValueError(
                f"dataset_prefixes must be unique, without '/' and none of {taken}, got {names}"
            )
        self.rainy_prefixes = names[1:] if rainy_prefixes is None else list(rainy_prefixes)
        if not set(self.rainy_prefixes) <= set(names[1:]):
            raise ValueError(
                f"rainy_prefixes must be among {names[1:]}, got {list(self.rainy_prefixes)}"
            )
        self.report: dict[str, dict] | None = None

    @property
    def dataset_meta(self) -> dict | Sequence[dict] | None:
        """Metainfo of the concatenated dataset: one dict, or one per part where they differ."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | Sequence[dict]) -> None:
        Evaluator.dataset_meta.fset(self, dataset_meta)
        metas = [dataset_meta] if isinstance(dataset_meta, dict) else dataset_meta
        sizes = metas[0].get("cumulative_sizes", [])
        if len(sizes) != len(self.dataset_prefixes):
            raise ValueError(
                f"dataset_prefixes={self.dataset_prefixes} needs an InterleavedDataset or mmdet's "
                f"ConcatDataset of {len(self.dataset_prefixes)} datasets, in this order, but the "
                f"dataset under evaluation has {len(sizes) or 'no'} parts"
            )
        self._parts = parts_in_order(dataset_meta)
        if len(metas) > 1:  # classes differ
            for metric, meta in zip(self._split_metrics()[0], metas, strict=True):
                metric.dataset_meta = meta

    def process(
        self, data_samples: Sequence[BaseDataElement | dict], data_batch: Any = None
    ) -> None:
        """Hand each sample to the metric of its dataset, and to the appended metrics.

        Args:
            data_samples: Predictions of the model with the ground truth, one per image.
            data_batch: The batch that they come from.
        """
        own, appended = self._split_metrics()
        for data_sample in data_samples:
            sample = data_sample if isinstance(data_sample, dict) else data_sample.to_dict()
            # The sampler pads with the first samples again; collect_results cuts those off.
            index = len(own[0].results) * get_world_size() + get_rank()
            part = self._parts[index % len(self._parts)]
            for i, metric in enumerate(own):
                if i == part:
                    metric.process(data_batch, [sample])
                else:
                    metric.results.append(ELSEWHERE)
            named = dict(sample, dataset=self.dataset_prefixes[part])
            for metric in appended:
                metric.process(data_batch, [named])

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute all metrics, the gap and the robustness, and print a table.

        Args:
            size: Number of samples in all datasets together.

        Returns:
            ``{prefix}/{metric prefix}/{name}`` of every dataset, ``gap/{name}``,
            ``robustness/{name}``, and whatever the appended metrics return.
        """
        own, appended = self._split_metrics()
        names = self.dataset_prefixes
        results: dict[str, float] = {}
        for name, metric in zip(names, own, strict=True):
            results |= _evaluate_part(name, metric, size)
        rows = comparable_rows(results, names)
        gaps = rain_gaps(rows, names[0], self.rainy_prefixes)
        measures = robustness(rows, names[0], self.rainy_prefixes)
        results.update({f"gap/{name}": value for name, value in gaps.items()})
        results.update({f"robustness/{name}": value for name, value in measures.items()})
        for metric in appended:
            results.update(metric.evaluate(size))
        if rows[names[0]]:
            print_log(robustness_table(rows, gaps, measures), logger="current")
        self.report = as_report(rows, gaps, measures)
        return results

    def _split_metrics(self) -> tuple[list[BaseMetric], list[BaseMetric]]:
        count = len(self.dataset_prefixes)
        return self.metrics[:count], self.metrics[count:]


def _evaluate_part(name: str, metric: BaseMetric, size: int) -> dict[str, float]:
    """Return what a metric finds in the samples of its own dataset, the same on all ranks."""
    collected = collect_results(metric.results, size, metric.collect_device)
    metric.results.clear()
    found: dict[str, float] = {}
    if is_main_process():
        results = [r for r in collected if not (isinstance(r, str) and r == ELSEWHERE)]
        prefix = "/".join(filter(None, (name, metric.prefix)))
        print_log(f"{prefix}:", logger="current")
        computed = metric.compute_metrics(_to_cpu(results))
        found = {f"{prefix}/{key}": value for key, value in computed.items()}
    everywhere = [found]
    broadcast_object_list(everywhere)
    return everywhere[0]
