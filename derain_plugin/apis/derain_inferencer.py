"""mmdet's inferencer for our configs, and for our models by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.apis import DetInferencer

from derain_plugin.config import load_config
from derain_plugin.config.loading import first_dataset
from derain_plugin.datasets.label_map import named_classes, require_same_classes
from derain_plugin.engine.safety import install
from derain_plugin.mim import PREFIX, find_model


class DerainInferencer(DetInferencer):
    """Detect in images, arrays and folders with mmdet's :class:`mmdet.apis.DetInferencer`.

    That one knows neither our names nor test data of several conditions. Calls are as there:
    ``inferencer("street.jpg", out_dir="seen")``. ``tools/infer.py`` does more: videos, rain masks,
    two detectors side by side.

    Args:
        model: Name of a model of ours, such as ``"rtdetr_r18_featderain_ms"``, or a config file,
            ours as ``"derain_plugin::rtdetr/rtdetr_r18_coco.py"``. Images are prepared as those
            of its first test data set are, the clean one.
        weights: Whatever mmengine loads, ``hf://`` included; None for the published weights of a
            model that has some.
        device: As torch takes it; None for the best there is.
        palette: As mmdet's.
        cfg_options: Overrides of the config, such as ``dict(classes=("car", "person"))`` for a
            detector of other classes than COCO's 80.
        show_progress: Whether to show a progress bar.

    Raises:
        ValueError: There is no such model, no weights are published for it, its config has no
            test pipeline, or its classes are not those of the weights.
        FileNotFoundError: There is no such config or checkpoint.

    Example:
        >>> inferencer = DerainInferencer("rtdetr_r18_featderain_ms", "epoch_15.pth")
        >>> inferencer("street.jpg")["predictions"][0]["scores"]
    """

    def __init__(
        self,
        model: str,
        weights: str | None = None,
        *,
        device: str | None = None,
        palette: str = "none",
        cfg_options: dict[str, Any] | None = None,
        show_progress: bool = True,
    ) -> None:
        is_file = model.startswith(PREFIX) or Path(model).suffix == ".py"
        config, published = (model, None) if is_file else find_model(model)
        weights = weights or published
        if weights is None:
            raise ValueError(
                f"no weights are published for {model}: train it, and give its checkpoint as "
                "weights"
            )
        cfg = load_config(config, cfg_options)
        cfg.test_dataloader.dataset = first_dataset(cfg, config)
        with install():
            super().__init__(
                cfg, weights, device=device, palette=palette, show_progress=show_progress
            )

    def _load_weights_to_model(self, model: Any, checkpoint: dict | None, cfg: Any) -> None:
        """Load weights as mmdet does, but never under the names of other classes."""
        classes = named_classes(cfg.model, cfg.test_dataloader.dataset)
        require_same_classes(checkpoint or {}, classes, model, source="the checkpoint")
        super()._load_weights_to_model(model, checkpoint, cfg)
        if classes is not None:
            model.dataset_meta["classes"] = classes
