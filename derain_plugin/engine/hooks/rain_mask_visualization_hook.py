"""What the de-rain neck takes for rain, while it trains."""

import logging
from typing import Any

import numpy as np
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from derain_plugin.visualization import MaskedImage, RainMaskRecorder, draw_mask_panels


@HOOKS.register_module()
class RainMaskVisualizationHook(Hook):
    """Every so many training iterations, show the rain masks of some images.

    They go as ``train_rain_masks_0``, … to the backends of the run's visualizer: with
    ``TensorboardVisBackend`` to TensorBoard's images, with ``LocalVisBackend`` to
    ``vis_data/vis_image/``. The images are the first of the iteration's batch on the first
    rank, as augmented; the masks are those of the weights in training, not of an EMA of them.

    Training is bitwise the same with and without this hook, see ``RainMaskRecorder``, and a
    resumed run shows the iterations that an uninterrupted one shows. A list replaces that of the
    base config, so repeat its hooks, the phases above all::

        custom_hooks = [*_base_.custom_hooks, dict(type='RainMaskVisualizationHook')]
        vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
        visualizer = dict(vis_backends=vis_backends)

    Args:
        interval: Iterations from one showing to the next.
        num_images: Images of each showing.

    Raises:
        ValueError: ``interval`` or ``num_images`` is no positive integer; at the start of
            training, the detector has no ``DerainNeck``.
    """

    def __init__(self, interval: int = 500, *, num_images: int = 2) -> None:
        for name, value in (("interval", interval), ("num_images", num_images)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.interval = interval
        self.num_images = num_images
        self._recorder: RainMaskRecorder | None = None

    def before_train(self, runner: Runner) -> None:
        """Find the de-rain neck."""
        self._recorder = RainMaskRecorder(runner.model, self.num_images)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Listen to this iteration if it is one to show."""
        if self._recorder and self._is_shown(runner):
            self._recorder.start()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Hand the iteration's masks to the visualizer."""
        if not (self._recorder and self._is_shown(runner)):
            return
        self._recorder.stop()
        for number, seen in enumerate(self._recorder.take()):
            if all(np.isfinite(mask).all() for mask in seen.masks):
                image = _panels(seen)
                runner.visualizer.add_image(
                    f"train_rain_masks_{number}", image, step=runner.iter + 1
                )
            else:  # a matter for the training, not for its images
                print_log(
                    f"iteration {runner.iter + 1} has rain masks that are not finite, not shown",
                    logger="current",
                    level=logging.WARNING,
                )

    def _is_shown(self, runner: Runner) -> bool:
        return is_main_process() and self.every_n_train_iters(runner, self.interval)


def _panels(seen: MaskedImage) -> np.ndarray:
    return draw_mask_panels(seen.image, seen.masks, strides=seen.strides)
