"""What lies between the scene and the camera: it lets some light pass, and adds some."""

import numpy as np

from derain_plugin.rain.streaks import MAX_ASPECT

_MAX_UNIT = 60  # px of a film's height: mist and reflections are smooth


class Film:
    """Layers of mist or gloss, from the scene to the camera, at a low resolution.

    Args:
        height: Of the image.
        width: Of the image.
        max_unit: Height of the film in pixels at most (a quarter of its width in panoramas).

    Attributes:
        passes: ``(h, w)`` float32, the share of the scene's light that reaches the camera.
        light: ``(3, h, w)`` float32, 0-1, the light that is added.
    """

    def __init__(self, height: int, width: int, *, max_unit: int = _MAX_UNIT) -> None:
        scale = min(1.0, max_unit / max(height, width / MAX_ASPECT))
        self.height, self.width = (max(1, round(side * scale)) for side in (height, width))
        self.passes = np.ones((self.height, self.width), np.float32)
        self.light = np.zeros((3, self.height, self.width), np.float32)

    def lay(self, opacity: np.ndarray, color: np.ndarray | float) -> None:
        """Lay something in front that hides a share of what is behind it.

        Args:
            opacity: ``(h, w)`` float32, 0-1.
            color: Of the layer, a grey 0-1 or ``(3, h, w)``.
        """
        self.passes *= 1 - opacity
        self.light += opacity * (color - self.light)
