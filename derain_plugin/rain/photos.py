"""Photographs that scikit-image ships."""

import cv2
import numpy as np


def load_photos(*names: str) -> tuple[np.ndarray, ...]:
    """Return photographs by their names in ``skimage.data``: ``(H, W, 3)`` uint8, BGR.

    Raises:
        ImportError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError(
            "the photographs come from scikit-image: pip install scikit-image"
        ) from error
    return tuple(_as_bgr(getattr(data, name)()) for name in names)


def _as_bgr(photo: np.ndarray | tuple) -> np.ndarray:
    image = photo[0] if isinstance(photo, tuple) else photo  # a stereo pair
    if image.ndim == 2:
        return cv2.merge([image] * 3)
    return np.ascontiguousarray(image[..., 2::-1])
