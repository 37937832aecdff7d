"""PSNR and SSIM, on RGB and on the luma channel."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np

WINDOW = 11
"""Side of SSIM's Gaussian window, px: no image may be smaller."""


def image_quality(image: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Compare an image with the clean one.

    ``PSNR`` in dB, infinite for equal images, and ``SSIM``, up to 1 (Wang et al. 2004,
    https://doi.org/10.1109/TIP.2003.819861: Gaussian window of sigma 1.5 and 11 px, population
    covariance, mean over the channels), both for a range of 255. ``PSNR_Y`` and ``SSIM_Y`` are
    those of :func:`luma`, which papers on de-raining report.

    Args:
        image: ``(H, W, 3)`` uint8, RGB, at least ``WINDOW`` px on each side.
        clean: Of the same shape.

    Raises:
        ImportError: If scikit-image is not installed.
        ValueError: If the shapes differ or the images are too small.
    """
    if image.shape != clean.shape or min(image.shape[:2]) < WINDOW:
        raise ValueError(
            f"images must have the same shape and at least {WINDOW} px on each side, got "
            f"{image.shape} and {clean.shape}"
        )
    metrics = _skimage("metrics")
    quality = {}
    for suffix, one, other in (("", image, clean), ("_Y", luma(image), luma(clean))):
        with np.errstate(divide="ignore"):  # equal images
            psnr = metrics.peak_signal_noise_ratio(other, one, data_range=255)
        quality[f"PSNR{suffix}"] = float(psnr)
        quality[f"SSIM{suffix}"] = float(
            metrics.structural_similarity(
                other,
                one,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                channel_axis=2 if one.ndim == 3 else None,
            )
        )
    return quality


def luma(image: np.ndarray) -> np.ndarray:
    """Return the Y of ITU-R BT.601, 16-235, as MATLAB's ``rgb2ycbcr`` does for uint8.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        ImportError: If scikit-image is not installed.

    Example:
        >>> luma(np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8))
        array([[235,  81]], dtype=uint8)
    """
    return np.rint(_skimage("color").rgb2ycbcr(image)[..., 0]).astype(np.uint8)


def _skimage(part: str) -> ModuleType:
    try:
        return import_module(f"skimage.{part}")
    except ImportError as error:
        raise ImportError(
            "PSNR and SSIM are those of scikit-image, which did not import "
            f"({error}): pip install scikit-image"
        ) from error
