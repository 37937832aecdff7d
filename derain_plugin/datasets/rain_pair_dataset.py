"""Clean images of a folder, to be paired with rain."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmengine.dataset import Compose
from mmengine.logging import print_log

from derain_plugin.datasets.rain_draw import RainDraw
from derain_plugin.datasets.seeded_dataset import SeededDataset
from derain_plugin.rain.images import find_images


@DATASETS.register_module()
class RainPairDataset(SeededDataset):
    """Give every image below a folder to a pipeline that pairs it with rain.

    For training restorers: needs no annotations. Samples enter the pipeline as ``img_path`` and
    ``img_id``, which is the file's stem, as a number where it is one. That is COCO's id, so
    ``RainPair(seed=0)`` renders the rain that ``SyntheticRain(seed=0)`` shows a detector.

    ``EpochSeedHook`` tells a training set the run's seed and the epoch: other rain in every epoch,
    but the same in any worker and after a resume, see :class:`SeededDataset`.

    In training an image that cannot be read is replaced by another one, with a warning that
    names it. In a test it is an error: all models shall be scored on the same images.

    Args:
        images: Folder of the clean images; those in folders below it count, too.
        pipeline: Transforms; the first one loads the image.
        percent: Share of the images that is used, in (0, 100]: a random sample, always the same.
        test_mode: Whether an image that cannot be read is an error.
        max_refetch: How many other images are tried at most.

    Raises:
        TypeError: ``percent`` is not a number.
        FileNotFoundError: ``images`` is not a folder.
        ValueError: There is no image in it, or ``percent`` is out of range or leaves none.
    """

    def __init__(
        self,
        images: str,
        pipeline: list,
        *,
        percent: float = 100,
        test_mode: bool = False,
        max_refetch: int = 100,
    ) -> None:
        super().__init__()
        self.images = Path(images)
        if not self.images.is_dir():
            raise FileNotFoundError(f"image folder {images} does not exist; set data_root")
        found = find_images(self.images)
        everywhere = np.ones(len(found), dtype=bool)
        used = RainDraw(everywhere, everywhere, rain_ratio=1, percent=percent).images
        self._images = [found[index] for index in used]
        self._load, *others = Compose(pipeline).transforms
        self._make_pair = Compose(others)
        self.test_mode = test_mode
        self.max_refetch = max_refetch

    @property
    def metainfo(self) -> dict:
        """Nothing: there are no classes."""
        return {}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def get_data_info(self, idx: int) -> dict:
        """Return what enters the pipeline for image ``idx``."""
        image = self._images[idx]
        return dict(img_path=str(self.images / image.path), img_id=image.image_id)

    def draw_sample(self, idx: int) -> Any:
        """Return what the pipeline makes of image ``idx``.

        Raises:
            ValueError: It cannot be read, in a test.
            RuntimeError: Nor can any of the others that were tried, in training.
        """
        return self._make_pair(self._load_readable(idx))

    def _load_readable(self, idx: int) -> dict:
        for _ in range(self.max_refetch + 1):
            info = self.get_data_info(idx)
            try:
                return self._load(info)
            except Exception as error:  # whatever the image library raises
                message = f"cannot read image {info['img_path']} ({error!r})"
            if self.test_mode:
                raise ValueError(f"{message}: replace or delete it")
            message += "; another one takes its place"
            print_log(message, logger="current", level=logging.WARNING)
            idx = np.random.randint(len(self))  # noqa: NPY002
        raise RuntimeError(
            f"no readable image in {self.max_refetch + 1} tries; check those below {self.images} "
            "and the first transform"
        )
