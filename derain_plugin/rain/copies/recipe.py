"""What rain a copy gets, and how it is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2

from derain_plugin.rain import SEVERITIES, component_shares, draw_severity, image_seed
from derain_plugin.rain.components import DEFAULT_COMPONENTS, Components
from derain_plugin.rain.images import SourceImage
from derain_plugin.rain.seeding import RENDERER_VERSION, check_seed
from derain_plugin.rain.severity import check_severity_range


@dataclass(frozen=True)
class Recipe:
    """The rain of a copy: the same as ``SyntheticRain(severity, seed=seed)`` renders.

    Args:
        severity: Mildest and worst, 0 to 5; each image gets one of them, drawn from the seed
            and its id. 0 is the plain image, encoded anew.
        per_severity: Render every image at all of these severities instead, each in a
            sub-folder ``severity_<n>``.
        seed: Non-negative; another seed gives other rain.
        quality: Of JPEG files, 1-100; the other formats are written without loss.
        components: What the rain is made of, as in :func:`render_rain`.
        lens_drops: Drops on the lens in any case.

    Raises:
        TypeError: If ``severity`` or ``seed`` is not made of integers.
        ValueError: If an argument is outside its range.
    """

    severity: tuple[int, int] = (3, 3)
    per_severity: bool = False
    seed: int = 0
    quality: int = 95
    components: Components = DEFAULT_COMPONENTS
    lens_drops: bool = False

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_severity_range(*self.severity)
        check_seed(image_seed(self.seed, 0))
        component_shares(self.components)
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be in 1-100, got {self.quality}")

    def targets(self, source: SourceImage) -> dict[str, int]:
        """Return the severity of each file to write, by its path in the copy."""
        mildest, worst = self.severity
        if self.per_severity:
            levels = range(mildest, worst + 1)
            return {f"severity_{level}/{source.path}": level for level in levels}
        seed = image_seed(self.seed, source.image_id)
        return {source.path: draw_severity(mildest, worst, seed=seed)}

    def parameters(self) -> dict[str, Any]:
        """Return everything but the image that decides the bytes of a file."""
        return {
            **vars(self),
            "components": component_shares(self.components),
            "renderer_version": RENDERER_VERSION,
            "opencv": cv2.__version__,
            "severities": {level: asdict(row) for level, row in SEVERITIES.items()},
        }
