"""PSNR and SSIM: how much nearer to the clean images a restorer brings rainy ones."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

COLUMNS = ("PSNR", "SSIM", "PSNR_Y", "SSIM_Y")
ALL = "all"
WINDOW = 11
"""Side of SSIM's Gaussian window, px: no image may be smaller."""


@METRICS.register_module()
class RestorationMetric(BaseMetric):
    """PSNR and SSIM of restored and of rainy images, and the gain, also by severity.

    Restored images are rounded to whole grey levels first, as if saved. Values are means over
    images; see :func:`image_quality` for what they are. Returned are ``PSNR``, ``SSIM``,
    ``PSNR_Y`` and ``SSIM_Y``; the same with ``rainy_`` of the images that were restored; and
    the difference with ``gain_``, all in ``restoration/``; then the gains of each severity, in
    ``restoration/severity_3/``. A table says them all.

    Batches are those of ``PackRainPair``, predictions those of ``SupervisedRestorer``.

    Args:
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.

    Raises:
        ImportError: If scikit-image is not installed.
    """

    default_prefix = "restoration"

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Compare the images of one batch.

        Args:
            data_batch: ``inputs`` and ``clean``, each ``N`` times ``(3, H, W)``, uint8, RGB, and
                ``rain_severity``, ``N`` integers.
            data_samples: ``N`` times ``dict(restored=...)``, ``(3, H, W)``, 0-255.
        """
        batch = (data_batch[name] for name in ("inputs", "clean", "rain_severity"))
        for rainy, clean, severity, sample in zip(*batch, data_samples, strict=True):
            reference = _as_image(clean)
            before = image_quality(_as_image(rainy), reference)
            after = image_quality(_as_image(sample["restored"]), reference)
            self.results.append((int(severity), before, after))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images, all and those of each severity, and print a table."""
        severities = sorted({severity for severity, *_ in results})
        groups = {ALL: results}
        groups |= {f"severity_{k}": [row for row in results if row[0] == k] for k in severities}
        means = {name: _means(rows) for name, rows in groups.items()}
        print_log(_table(means, groups), logger="current")
        whole = means.pop(ALL)
        gains = {
            f"{name}/{key}": value
            for name, row in means.items()
            for key, value in row.items()
            if key.startswith("gain_")
        }
        return whole | gains


def _as_image(image: Tensor) -> np.ndarray:
    return image.detach().float().round().byte().permute(1, 2, 0).cpu().numpy()


def _means(rows: Sequence[tuple[int, dict, dict]]) -> dict[str, float]:
    row: dict[str, float] = {}
    for name in COLUMNS:
        before = float(np.mean([rainy[name] for _, rainy, _ in rows]))
        after = float(np.mean([restored[name] for *_, restored in rows]))
        row |= {name: after, f"rainy_{name}": before, f"gain_{name}": after - before}
    return row


def _table(means: dict[str, dict[str, float]], groups: dict[str, list]) -> str:
    lines = ["", f"{'':<10}  images" + "".join(f"  {name:>24}" for name in COLUMNS)]
    for group, row in means.items():
        cells = (_cell(row, name) for name in COLUMNS)
        lines.append(f"{group:<10}  {len(groups[group]):>8}" + "".join(cells))
    lines.append("rainy -> restored (gain); PSNR in dB, _Y: on the luma channel")
    return "\n".join(lines)


def _cell(row: dict[str, Any], name: str) -> str:
    digits = 2 if name.startswith("PSNR") else 3
    before, after, gain = (row[key] for key in (f"rainy_{name}", name, f"gain_{name}"))
    return f"  {f'{before:.{digits}f} -> {after:.{digits}f} ({gain:+.{digits}f})':>24}"


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
