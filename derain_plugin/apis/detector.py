"""Any mmdet detector with its weights, its class names and, if it has a de-rain neck, its masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.apis import inference_detector
from mmdet.registry import DATASETS, MODELS
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from torch import nn

from derain_plugin.adapting.adapter import load_adapter
from derain_plugin.apis.base_predictor import BasePredictor
from derain_plugin.config import load_config
from derain_plugin.config.loading import first_dataset
from derain_plugin.datasets.label_map import (
    Names,
    coco_spelled,
    named_classes,
    require_same_classes,
    saved_classes,
)
from derain_plugin.datasets.labels.classes import COCO_NAMES
from derain_plugin.engine.safety import install
from derain_plugin.models.detectors import RTDETR
from derain_plugin.models.detectors.noted_area import leave_padding_out
from derain_plugin.models.loading import keys_of_other_shape, require_fit
from derain_plugin.models.necks.derain_neck import require_whole_checkpoint
from derain_plugin.visualization import MaskedImage, RainMaskRecorder, crop_to_file


class Detector(BasePredictor):
    """Detect in images that were read already.

    mmdet's ``init_detector`` builds the test dataset for its palette, and a ``ConcatDataset``
    reads its annotations then, which whoever only shows images need not have.

    Args:
        config: A config file of ours or of mmdet. Images are prepared by the pipeline of its
            test data, of the first data set where it has several: the clean one in our configs.
        checkpoint: Whatever mmengine loads, ``hf://`` included; None for fresh weights.
        device: As torch takes it.
        cfg_options: Overrides as ``--cfg-options`` gives them.
        name: What people call it.
        adapter: Folder of ``derain-adapt``, whose neck is put in; None for none.

    Attributes:
        name: Of its config, without folder and suffix, unless told otherwise.
        classes: Names by label, from the checkpoint and the config, which must not differ. The 80
            of COCO have COCO's own spelling.
        palette: RGB colours by label, or a name that mmdet knows.
        cfg: The config, with its overrides.
        dataset: The config of the test data that images are prepared like.
        model: mmdet's module, in evaluation mode, with its config as ``cfg``.

    Raises:
        ValueError: The config has no test pipeline, its classes are not the checkpoint's, or
            neither gives a name to each class; the adapter is for other weights.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str | None,
        *,
        device: str,
        cfg_options: dict[str, Any] | None = None,
        name: str | None = None,
        adapter: str | Path | None = None,
    ) -> None:
        self.cfg = cfg = load_config(config, cfg_options)
        init_default_scope(cfg.get("default_scope") or "mmdet")
        self.dataset = dataset = first_dataset(cfg, config)
        self.name = name or Path(config).stem
        self.model = revert_sync_batchnorm(MODELS.build(cfg.model))
        metainfo = DATASETS.build(dict(dataset, lazy_init=True)).metainfo
        classes = named_classes(cfg.model, dataset)
        loaded = _load(self.model, checkpoint, classes) if checkpoint else {}
        if cfg.get("leave_padding_out"):
            leave_padding_out(self.model)
        if adapter is not None:
            load_adapter(self.model, adapter)
        self.model.cfg = cfg  # inference_detector wants one
        self.model.to(device).eval()
        self.classes = _class_names(self.model, saved_classes(loaded), classes)
        self.palette = metainfo.get("palette") or "random"
        if isinstance(self.palette, list) and len(self.palette) < len(self.classes):
            self.palette = "random"
        load, *steps = dataset["pipeline"]
        self._pipeline = Compose([dict(load, type="mmdet.LoadImageFromNDArray"), *steps])
        self._recorder: RainMaskRecorder | None = None

    def record_masks(self) -> None:
        """Keep the rain masks of each image from now on.

        Raises:
            ValueError: The detector has no ``DerainNeck``.
        """
        self._recorder = RainMaskRecorder(self.model)
        self._recorder.start()

    def detect(self, image: np.ndarray) -> InstanceData:
        """Return everything found, as :class:`BasePredictor` says."""
        found = inference_detector(self.model, image, self._pipeline).pred_instances.cpu()
        return InstanceData(bboxes=found.bboxes, scores=found.scores, labels=found.labels)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """Return what the pipeline makes of an image: ``(3, H, W)``, before normalisation."""
        return self._pipeline(dict(img=image, img_id=0))["inputs"]

    def take_masks(self) -> MaskedImage | None:
        """Return the masks of the last image, or None where none are recorded."""
        return crop_to_file(self._recorder.take()[0]) if self._recorder is not None else None

    @property
    def records_masks(self) -> bool:
        """Whether rain masks are kept."""
        return self._recorder is not None


def _load(model: nn.Module, checkpoint: str, classes: Names | None) -> dict:
    handle = require_whole_checkpoint(model)
    try:
        with install():
            loaded = load_checkpoint(model, checkpoint, map_location="cpu")
    finally:
        if handle is not None:
            handle.remove()
    require_same_classes(loaded, classes, model, source=checkpoint)
    if handle is None and not isinstance(model, RTDETR):  # which refuse by themselves
        _refuse_another_detectors(model, loaded, checkpoint)
    return loaded


def _refuse_another_detectors(model: nn.Module, loaded: Mapping[str, Any], source: str) -> None:
    """Refuse what mmengine would only warn of: random weights find nothing, and say nothing."""
    weights = {k.removeprefix("module."): v for k, v in loaded.get("state_dict", loaded).items()}
    parameters = dict(model.named_parameters())
    require_fit(
        f"{source} does not fit this {type(model).__name__}",
        "Load the checkpoint of this config, or give the config of this checkpoint",
        missing=[key for key in parameters if key not in weights],
        other_shape=keys_of_other_shape(parameters, weights),
    )


def _class_names(model: nn.Module, saved: Names | None, configured: Names | None) -> Names:
    heads = [module for name, module in model.named_modules() if "bbox_head" in name]
    counts = [m.num_classes for m in heads if isinstance(getattr(m, "num_classes", None), int)]
    candidates = [names for names in (saved, configured) if names]
    for names in [*candidates, COCO_NAMES]:
        if not counts or len(names) == max(counts):
            return coco_spelled(names)
    raise ValueError(
        f"this detector has {max(counts)} classes, but the checkpoint and the config name "
        f"{' and '.join(str(len(names)) for names in candidates) or 'none'}: set classes=... with "
        "--cfg-options as the detector was trained"
    )
