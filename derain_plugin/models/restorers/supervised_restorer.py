"""A restorer with the loss that trains it on pairs of a clean and a rainy image."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn.functional import mse_loss

FORMS = ("loss", "predict", "tensor")


@MODELS.register_module()
class SupervisedRestorer(BaseModel):
    """Train a restorer on pairs, in mmengine's ``Runner``.

    The loss is the mean squared error of each image that the restorer returns, summed over
    them: for the three of SPDNet, the loss of its authors (https://arxiv.org/abs/2108.09079).
    It is taken before clamping and in float32.

    In a checkpoint the restorer's weights are below ``restorer.``: another model takes them by
    ``init_cfg=dict(type="Pretrained", checkpoint=..., prefix="restorer.")``.

    Args:
        restorer: Config of a registered module that maps ``(N, 3, H, W)`` RGB, float, 0-255 to a
            image of that shape and range, or to several, the final one first. It also has
            ``restore(images)``, which returns the final one alone.
        **kwargs: The arguments of :class:`mmengine.model.BaseModel`.

    Raises:
        TypeError: If the restorer has no ``restore``.
    """

    def __init__(self, restorer: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.restorer = MODELS.build(restorer)
        if not hasattr(self.restorer, "restore"):
            raise TypeError(
                "`restorer` must be a module with restore(images), such as SPDNet, got "
                f"{type(self.restorer).__name__}"
            )

    def forward(
        self, inputs: Tensor, clean: Tensor | None = None, *, mode: str = "tensor", **_: Any
    ) -> Any:
        """Restore rainy images, or say how far from the clean ones they are.

        Args:
            inputs: ``(N, 3, H, W)`` RGB, 0-255, any dtype.
            clean: The same without rain; for ``loss``.
            mode: What to return, see below.
            **_: Whatever else a batch holds.

        Returns:
            For ``loss`` the terms ``loss_mse_0`` (of the final image), ``loss_mse_1``, ..., in
            squared grey levels; for ``predict`` a list of ``dict(restored=...)``, each
            ``(3, H, W)``, clamped to 0-255; for ``tensor`` what the restorer returns.

        Raises:
            ValueError: If ``mode`` is another, or ``clean`` is missing.
        """
        images = inputs.float()
        if mode == "tensor":
            return self.restorer(images)
        if mode == "predict":
            restored = self.restorer.restore(images).float().clamp(0, 255)
            return [dict(restored=image) for image in restored]
        if mode != "loss" or clean is None:
            raise ValueError(f"mode must be one of {FORMS}, and `loss` needs `clean`; got {mode!r}")
        outputs = self.restorer(images)
        stages = [outputs] if isinstance(outputs, Tensor) else outputs
        return {
            f"loss_mse_{index}": mse_loss(stage.float(), clean.float())
            for index, stage in enumerate(stages)
        }
