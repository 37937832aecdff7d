"""Rain of another generator, imgaug's, for tests alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from numbers import Real
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from derain_plugin.rain import image_seed, render_rain
from derain_plugin.rain.seeding import check_seed

Span = float | Sequence[float]
"""One number, or the ends of a range to draw from uniformly."""

_MAX_LAYERS = 3  # that imgaug's Rain holds


@TRANSFORMS.register_module()
class HeldOutRain(BaseTransform):
    """Render ``imgaug.augmenters.Rain``; place it right after ``LoadImageFromFile``.

    For testing only. A model trained on ``SyntheticRain`` may have learned our streaks rather
    than rain; imgaug draws them from other code and without our veil, contrast, brightness and
    noise. Train on it, and it is held out no longer.

    Every pixel depends on ``(seed, img_id)`` and imgaug's version alone, in any process; neither
    ``random`` nor NumPy's global generator is read or moved. The defaults were chosen on photos
    of 640 x 480: clear, heavy rain that changes a pixel as much in the mean as our severity 3.
    imgaug draws drops of a size in pixels, so larger photos get finer rain. Rain is grey: the
    order of the color channels does not matter. No ``rain_severity`` is noted, as there is none
    on our scale.

    Required Keys:

    - img (uint8, H x W x 3)
    - img_id (int or str)

    Modified Keys:

    - img (a new array)

    Args:
        seed: Non-negative integer.
        drop_size: 0-1, both excluded; a drop is about ``1 / (1 - drop_size)`` px wide.
        speed: Length of a streak as a share of the image's longer side, 0-1.
        nb_iterations: Layers of rain, 1 to 3.

    Raises:
        ImportError: If imgaug is not installed.
        TypeError: If ``seed`` is not an integer or another argument not made of numbers.
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        drop_size: Span = (0.5, 0.7),
        speed: Span = (0.03, 0.1),
        nb_iterations: int | Sequence[int] = _MAX_LAYERS,
    ) -> None:
        check_seed(image_seed(seed, 0))
        self.seed = seed
        self.drop_size = _span("drop_size", drop_size, low=1e-3, high=0.999)
        self.speed = _span("speed", speed, low=0, high=1)
        self.nb_iterations = _span("nb_iterations", nb_iterations, low=1, high=_MAX_LAYERS)
        if any(end != int(end) for end in self.nb_iterations):
            raise ValueError(f"nb_iterations must be whole, got {nb_iterations}")
        with _numpy_left_alone():
            self._rain = _imgaug().Rain(
                drop_size=self.drop_size, speed=self.speed, nb_iterations=self.nb_iterations
            )

    def transform(self, results: dict) -> dict:
        """Render rain on ``results["img"]``.

        Raises:
            TypeError: If the image is not uint8.
            ValueError: If it does not have three channels, or ``results`` no ``img_id``.
        """
        if "img_id" not in results:
            raise ValueError(
                f"HeldOutRain needs 'img_id' in results, which hold only {sorted(results)}; "
                "give every sample an img_id"
            )
        seed = image_seed(self.seed, results["img_id"])
        dry = render_rain(results["img"], 0, seed=seed)  # a copy that is checked
        with _numpy_left_alone():
            # Not Rain(seed=...): that gives all layers the same streaks.
            self._rain.seed_(np.random.SeedSequence(seed))
            results["img"] = self._rain(image=dry)
        return results

    def __repr__(self) -> str:
        """Show the arguments."""
        return (
            f"{type(self).__name__}(seed={self.seed}, drop_size={self.drop_size}, "
            f"speed={self.speed}, nb_iterations={self.nb_iterations})"
        )


def _span(name: str, value: Span, *, low: float, high: float) -> tuple[float, float]:
    ends = tuple(value) if isinstance(value, Sequence) else (value, value)
    if not all(isinstance(end, Real) for end in ends):
        raise TypeError(f"{name} must be a number or two, got {value!r}")
    if len(ends) != 2 or not low <= ends[0] <= ends[1] <= high:
        raise ValueError(f"{name} must be a number in [{low}, {high}] or a range, got {value}")
    return ends


def _imgaug() -> Any:
    try:
        return import_module("imgaug.augmenters")
    except (ImportError, AttributeError) as error:  # AttributeError: the old imgaug on NumPy 2
        raise ImportError(
            f"HeldOutRain renders with imgaug, which did not import ({error}): pip install imaug, "
            "the maintained fork, which is imported as imgaug"
        ) from error


@contextmanager
def _numpy_left_alone() -> Iterator[None]:
    """Undo that imgaug, when first used in a process, seeds itself from NumPy's generator."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
