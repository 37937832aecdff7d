"""Renderers of rain by name: ours, imgaug's, rainy copies, a transform, a function of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isclass, signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from derain_plugin.adapting.photos import Photos
from derain_plugin.adapting.rainy_copies import RainyCopies
from derain_plugin.adapting.view import View
from derain_plugin.datasets.seeded_dataset import seeded_draws
from derain_plugin.datasets.transforms import HeldOutRain
from derain_plugin.rain import RENDERER_VERSION, SEVERITIES, Seed, render_rain, version_2
from derain_plugin.rain.images import read_image

OURS: dict[int, Callable[..., np.ndarray]] = {
    2: version_2.render_rain,
    RENDERER_VERSION: render_rain,
}
"""By version."""

IMGAUG: dict[int, dict[str, Any]] = {
    1: dict(nb_iterations=1, speed=(0.01, 0.04)),
    2: dict(nb_iterations=(1, 2), speed=(0.02, 0.07)),
    3: dict(nb_iterations=2, speed=(0.03, 0.10)),
    4: dict(nb_iterations=(2, 3), speed=(0.04, 0.13)),
    5: dict(nb_iterations=3, speed=(0.05, 0.16)),
}
"""Options of ``HeldOutRain`` by severity: more layers of longer streaks.

One to three layers change a pixel of clear traffic photos by 14, 24 and 35 levels in the mean,
severities 1 to 5 of our version 2 by 11, 24, 38, 47 and 55. The sizes of drops and streaks hardly
change that.
"""

NAMES = (
    "ours, imgaug, a folder of rainy copies, or a function or transform as FILE.py:NAME, or as "
    "MODULE:NAME of a module on the Python path"
)


class Rendered:
    """Rain that a function renders.

    What the function draws from the global generators of Python, NumPy and torch follows from the
    seed, too.

    Args:
        render: Called as ``render(image, severity, seed=...)``, uint8 BGR in and out.
        name: Tells it from others.
        version: Tells other pixels of the same name apart.
    """

    def __init__(
        self, render: Callable[..., np.ndarray], name: str, version: int | str | None = None
    ) -> None:
        self._render, self.name, self.version = render, name, version

    def record(self) -> dict[str, Any]:
        """Return which rain it is, as json takes it."""
        return dict(name=self.name, version=self.version)

    def check(self, photos: Photos) -> list[str]:
        """Try it on a photo, and say what speaks against it.

        Raises:
            ValueError: See :meth:`on`.
        """
        photo = photos.paths[0]
        image = read_image(photo)
        first, second = (self.on(image, 3, seed=0, photo=photo) for _ in range(2))
        if np.array_equal(first, second):
            return []
        return [
            f"renderer {self.name} does not follow its seed, so a resumed run will end otherwise "
            "than one that was not stopped"
        ]

    def on(
        self,
        image: np.ndarray,
        severity: int,
        *,
        seed: Seed,
        photo: Path,
        view: View | None = None,
    ) -> np.ndarray:
        """Render rain on an image; it does not matter what of which photo it shows.

        Raises:
            ValueError: What comes out is no such image.
        """
        with seeded_draws(*(seed if isinstance(seed, Sequence) else (seed,))):
            rainy = self._render(image, severity, seed=seed)
        found = getattr(rainy, "shape", None), str(getattr(rainy, "dtype", type(rainy).__name__))
        if found != (image.shape, "uint8"):
            raise ValueError(
                f"renderer {self.name} got an image {image.shape} uint8 and must return one like "
                f"it, but returned {found[0]} {found[1]}"
            )
        return rainy


class TransformRain:
    """Rain of transforms of mmcv or mmdet, called as a renderer is.

    Args:
        transforms: By severity.
    """

    def __init__(self, transforms: Mapping[int, BaseTransform]) -> None:
        self._transforms = transforms

    def __call__(self, image: np.ndarray, severity: int, *, seed: Seed) -> Any:
        """Return ``image`` in rain."""
        sample = dict(img=image.copy(), img_id=str(seed), img_shape=image.shape[:2])
        results = self._transforms[severity](sample)
        return results["img"] if results else None


Rain = Rendered | RainyCopies
Renderer = str | Mapping[str, Any] | Callable[..., np.ndarray] | Rain
"""What names one; see :func:`rain_of`."""


def rain_of(renderer: Renderer) -> Rain:
    """Return the rain that a name, a transform's config or a function stands for.

    Args:
        renderer: One of

            - ``ours``, or ``ours:2`` to insist on a version;
            - ``imgaug``: its ``Rain``, see ``IMGAUG``;
            - a folder of rainy copies, see ``RainyCopies``;
            - ``MODULE:NAME`` or ``FILE.py:NAME``: a function ``f(image, severity, seed=...)``,
              uint8 BGR in and out, or a transform, or the class of one that needs no arguments;
            - such a function or transform itself;
            - the config of a transform, ``dict(type="Corrupt", corruption="spatter")``.

            A transform's class gets the severity where it has an option of this name.

    Raises:
        ImportError: imgaug is not installed.
        ValueError: There is no such renderer.
    """
    if isinstance(renderer, Rain):
        return renderer
    if isinstance(renderer, Mapping):
        return _configured(renderer)
    if isinstance(renderer, str):
        return _named(renderer)
    qualname = getattr(renderer, "__qualname__", type(renderer).__qualname__)
    return _of_object(renderer, f"{renderer.__module__}:{qualname}")


def _named(name: str) -> Rain:
    kind, _, version = name.partition(":")
    if kind == "ours":
        return _ours(name, version)
    if name == "imgaug":
        levels = {each: HeldOutRain(**IMGAUG[each]) for each in SEVERITIES}
        return Rendered(TransformRain(levels), name, import_module(name).__version__)
    folder = Path(name).expanduser()
    return RainyCopies(folder) if folder.is_dir() else _imported(name)


def _ours(name: str, version: str) -> Rendered:
    number = {str(each): each for each in OURS}.get(version or str(RENDERER_VERSION))
    if number is None:
        versions = ", ".join(f"ours:{each}" for each in OURS)
        raise ValueError(f"renderer {name} is not there: this plugin renders {versions}")
    return Rendered(OURS[number], "ours", number)


def _imported(name: str) -> Rendered:
    module, _, attribute = name.rpartition(":")
    if not module:
        raise ValueError(f"renderer {name} is not there: name {NAMES}")
    try:
        found = getattr(_module(module), attribute)
    except (ImportError, AttributeError, ValueError, OSError) as error:
        raise ValueError(f"renderer {name} cannot be imported ({error}): name {NAMES}") from error
    return _of_object(found, name)


def _module(name: str) -> ModuleType:
    """Import a module, or run a file, of whatever folder."""
    spec = spec_from_file_location(Path(name).stem, Path(name).expanduser())
    if spec is None or spec.loader is None:  # its name does not end in .py
        return import_module(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _of_object(found: Any, name: str) -> Rendered:
    if isclass(found) and issubclass(found, BaseTransform):
        return Rendered(_by_severity(found, {}), name)
    if isclass(found):
        found = found()
    if isinstance(found, BaseTransform):
        found = TransformRain(dict.fromkeys(SEVERITIES, found))
    return Rendered(found, name)


def _configured(config: Mapping[str, Any]) -> Rendered:
    options = dict(config)
    kind = options.pop("type", None)
    transform = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    if transform is None:
        raise ValueError(f"renderer {dict(config)}: no transform {kind} is registered")
    said = "".join(f", {key}={value!r}" for key, value in options.items())
    return Rendered(_by_severity(transform, options), f"{transform.__name__}{said}")


def _by_severity(transform: type[BaseTransform], options: Mapping[str, Any]) -> TransformRain:
    if "severity" in signature(transform).parameters and "severity" not in options:
        return TransformRain({each: transform(**options, severity=each) for each in SEVERITIES})
    return TransformRain(dict.fromkeys(SEVERITIES, transform(**options)))
