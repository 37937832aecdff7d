"""mmdet's inferencer for our configs, and for our models by name."""

from __future__ import annotations

from pathlib import Path

from mmdet.apis import DetInferencer

from derain_plugin.apis.detector import first_dataset
from derain_plugin.config import load_config
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
        show_progress: Whether to show a progress bar.

    Raises:
        ValueError: There is no such model, no weights are published for it, or its config has no
            test pipeline.
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
        cfg = load_config(config)
        cfg.test_dataloader.dataset = first_dataset(cfg, config)
        with install():
            super().__init__(
                cfg, weights, device=device, palette=palette, show_progress=show_progress
            )
