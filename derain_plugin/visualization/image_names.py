"""Names that tell the images of a test apart, whose conditions share their files."""

from pathlib import Path

from mmengine.dist import get_rank, get_world_size
from mmengine.runner import Runner

from derain_plugin.datasets.interleaved_dataset import parts_in_order


class ImageNames:
    """Name the images that this process tests, in their order.

    ``a/street.png`` under ``severity_3`` (``CleanRainEvaluator.dataset_prefixes``) is
    ``street_severity_3``, and ``b/street.png``, too, ``street_severity_3_2``. Without several
    conditions it is ``street``.

    Args:
        runner: Its test data loader has a ``DefaultSampler`` that does not shuffle.
    """

    def __init__(self, runner: Runner) -> None:
        self._dataset = runner.test_dataloader.dataset
        self._prefixes = getattr(runner.test_evaluator, "dataset_prefixes", None)
        if self._prefixes is not None:
            self._parts = parts_in_order(self._dataset.metainfo)
        self._num_seen = 0
        self._taken: set[str] = set()

    def name_next(self, img_path: str) -> str | None:
        """Return the name of the next image; None for one that only pads the last round."""
        index = self._num_seen * get_world_size() + get_rank()
        self._num_seen += 1
        if index >= len(self._dataset):
            return None
        parts = [Path(img_path).stem]
        if self._prefixes is not None:
            parts.append(self._prefixes[self._parts[index]])
        stem = name = "_".join(parts)
        number = 1
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name
