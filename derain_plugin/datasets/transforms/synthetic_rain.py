"""Rain rendered inside a data pipeline, so clean images alone are enough."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from derain_plugin.rain import Seed, component_shares, draw_severity, image_seed, render_rain
from derain_plugin.rain.components import DEFAULT_COMPONENTS, Components
from derain_plugin.rain.seeding import check_seed
from derain_plugin.rain.severity import check_severity, check_severity_range


@TRANSFORMS.register_module()
class SyntheticRain(BaseTransform):
    """Render rain on the loaded image; place it right after ``LoadImageFromFile``.

    With a seed, whether it rains, how hard, and every pixel depend on ``(seed, img_id)``
    alone: the same rain in every epoch, worker and run, as if it lay on disk. Without one,
    each visit draws anew from NumPy's global generator, which mmengine seeds per worker.

    Required Keys:

    - img (uint8, H x W x 3)
    - img_id (int or str; only with a seed)

    Modified Keys:

    - img (a new array where it rains)

    Added Keys:

    - rain_severity (int; 0 where it does not rain)

    Args:
        severity: 0 to 5, or the ends of a range, both included, to draw from uniformly.
        prob: Share of the images that get rain, 0-1. With a seed, the images of a smaller
            share are among those of a larger one.
        seed: Non-negative integer, or None.
        components: What the rain is made of: names of ``derain_plugin.rain.COMPONENTS``, or
            by name the share of the images that get it, also as text, ``"streaks=0.5,veil"``.
        lens_drops: Whether the lens is wet in any case.

    Raises:
        TypeError: If ``severity`` or ``seed`` is not made of integers.
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        severity: int | Sequence[int] = 3,
        prob: float = 1.0,
        seed: int | None = None,
        *,
        components: Components = DEFAULT_COMPONENTS,
        lens_drops: bool = False,
    ) -> None:
        self.severity = _severity_range(severity)
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be in [0, 1], got {prob}")
        if seed is not None:
            check_seed(image_seed(seed, 0))
        component_shares(components)
        self.prob = prob
        self.seed = seed
        self.components = components
        self.lens_drops = lens_drops

    def transform(self, results: dict) -> dict:
        """Render rain on ``results["img"]`` and note its severity.

        Raises:
            TypeError: If the image is not uint8.
            ValueError: If it does not have three channels, or if there is a seed and
                ``results`` has no ``img_id``.
        """
        seed = self._seed_for(results)
        severity = draw_severity(*self.severity, seed=seed, prob=self.prob)
        if severity:
            results["img"] = render_rain(
                results["img"],
                severity,
                seed=seed,
                components=self.components,
                lens_drops=self.lens_drops,
            )
        results["rain_severity"] = severity
        return results

    def _seed_for(self, results: dict) -> Seed:
        if self.seed is None:
            return self._random_seed()
        if "img_id" not in results:
            raise ValueError(
                f"SyntheticRain(seed={self.seed}) needs 'img_id' in results, which hold only "
                f"{sorted(results)}; give every sample an img_id or leave out the seed"
            )
        return image_seed(self.seed, results["img_id"])

    @cache_randomness
    def _random_seed(self) -> int:
        return int(np.random.randint(2**31))  # noqa: NPY002

    def __repr__(self) -> str:
        """Show the arguments."""
        return (
            f"{type(self).__name__}(severity={self.severity}, prob={self.prob}, "
            f"seed={self.seed}, components={self.components!r}, lens_drops={self.lens_drops})"
        )


def _severity_range(severity: int | Sequence[int]) -> tuple[int, int]:
    ends = tuple(severity) if isinstance(severity, Sequence) else (severity, severity)
    for end in ends:
        check_severity(end)
    if len(ends) != 2:
        raise ValueError(f"severity must be one level or (mildest, worst), got {severity}")
    check_severity_range(*ends)
    return ends
