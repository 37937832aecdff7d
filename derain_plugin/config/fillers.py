"""How each kind of target takes a setting; ``derain_plugin.config.settings`` names the kinds.

All change targets in place, and only those that hold what the old setting filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from derain_plugin.config.targets import Target

STRIDE = 32  # px, of the coarsest feature map


def move_folders(targets: dict[str, list[Target]], old: dict, new: dict) -> None:
    """Move paths below the old roots to the new ones.

    Args:
        targets: By the name of the root that they may lie below. One root may lie inside the
            other: then the inner one moves what is below both.
        old: Name to root, with a slash at its end.
        new: The same.
    """
    moved = {}
    for name in sorted(targets, key=lambda name: len(old[name])):
        for target in targets[name]:
            path = target.value
            if isinstance(path, str) and path.startswith(old[name]):
                place = id(target.node), target.key
                moved[place] = target, new[name] + path.removeprefix(old[name])
    for target, path in moved.values():
        target.set(path)


def set_value(targets: Iterable[Target], old: Any, new: Any) -> None:
    """Replace the setting itself."""
    for target in targets:
        if target.value == old:
            target.set(new)


def set_metainfo(targets: Iterable[Target], old: Any, new: Any) -> None:
    """Set the classes of datasets; without any, a dataset has those of its type."""
    for target in targets:
        dataset = target.value
        metainfo = dict(dataset.get("metainfo") or {})
        current = metainfo.pop("classes", None)
        if (tuple(current) if current else None) != old or new == old:
            continue
        if new:
            metainfo["classes"] = new
        dataset["metainfo"] = metainfo
        if not metainfo:
            del dataset["metainfo"]


def set_num_classes(targets: Iterable[Target], old: Any, new: Any) -> None:
    """Set the number of classes of a head."""
    set_value(targets, _num_classes(old), _num_classes(new))


def _num_classes(classes: tuple[str, ...] | None) -> int:
    return len(classes) if classes else 80


def as_scale(size: Any) -> tuple[int, int]:
    """Return ``image_size`` as ``(width, height)``, which a side length means as a square."""
    return (size, size) if isinstance(size, int) else tuple(size)


def set_squares(targets: Iterable[Target], old: Any, new: Any) -> None:
    """Make steps of ``old`` px, a side length or ``(width, height)``, steps of ``new`` px.

    Raises:
        ValueError: There is none, or a path names several steps of a pipeline.
    """
    is_pair = (list, tuple)
    scale = as_scale(old)
    squares = [t for t in targets if isinstance(t.value, is_pair) and tuple(t.value) == scale]
    if new == old:
        return
    if not squares:
        raise ValueError(
            f"image_size={new} reaches nothing: no pipeline of this config has steps of "
            f"{scale[0]} x {scale[1]} px; set the scales in its pipelines instead"
        )
    steps = Counter((target.pattern, target.path[:-2]) for target in squares)
    for (pattern, pipeline), count in steps.items():
        if count > 1:
            raise ValueError(
                f"image_size={new} may be meant for any of {count} steps of {scale[0]} x "
                f"{scale[1]} px that {pattern} names in {'.'.join(pipeline)}: name one by its "
                "place from the end, such as -3, in settings.image_size.squares"
            )
    for target in squares:
        target.set(as_scale(new))


def scale_sizes(targets: Iterable[Target], old: Any, new: Any) -> None:
    """Move multi-scale sizes written around ``old`` to the same share of ``new``."""
    before, after = as_scale(old), as_scale(new)

    def moved(size: tuple[int, int]) -> Any:
        shares = zip(size, before, after, strict=True)
        steps = [max(1, round(side * b / a / STRIDE)) for side, a, b in shares]
        width, height = (step * STRIDE for step in steps)
        return width if after[0] == after[1] and width == height else (width, height)

    for target in targets:
        sizes = [as_scale(size) for size in target.value]
        if before in sizes and after not in sizes:
            target.set([moved(size) for size in sizes])


def switch_rain(targets: Iterable[Target], old: dict, new: dict) -> None:
    """Let datasets read rainy images from disk, or render rain on clean ones while loading.

    A dataset takes part if its images lie below ``rainy_root``, or if it renders the old
    severity; one that has a ``RainTwin`` renders rain in any case.

    Raises:
        ValueError: A ``RainTwin`` has no severity, or there are components and no rain.
    """
    components = new.get("rain_components")
    if components is not None and new.get("synthetic_rain") is None:
        raise ValueError(
            f"rain_components={components!r} reaches nothing without synthetic_rain, the severity; "
            "a rainy copy on disk is made of what tools/make_rainy_coco.py --components says"
        )
    for target in targets:
        dataset = target.value
        if any(step["type"] == "RainTwin" for step in dataset["pipeline"]):
            _set_twin(dataset, old, new)
        else:
            _set_rain(dataset, old, new)


def _set_rain(dataset: dict, old: dict, new: dict) -> None:
    severity = new["synthetic_rain"]
    images = dataset["data_prefix"].get("img", "")
    dry = [step for step in dataset["pipeline"] if not _renders(step, old["synthetic_rain"])]
    was_rendered = len(dry) < len(dataset["pipeline"])
    if not was_rendered and not images.startswith(new["rainy_root"]):
        return
    tail = images.removeprefix(new["data_root" if was_rendered else "rainy_root"])
    root = new["rainy_root" if severity is None else "data_root"]
    rain = [] if severity is None else [_rain_step(severity, new.get("rain_components"))]
    dataset["data_prefix"] = dict(dataset["data_prefix"], img=root + tail)
    dataset["pipeline"] = [dry[0], *rain, *dry[1:]]  # right after the image is loaded


def _rain_step(severity: Any, components: Any) -> dict:
    chosen = {} if components is None else dict(components=components)
    return dict(type="SyntheticRain", severity=severity, seed=0, **chosen)


def _renders(step: dict, severity: Any) -> bool:
    return step["type"] == "SyntheticRain" and step.get("severity") == severity


def _set_twin(dataset: dict, old: dict, new: dict) -> None:
    """Let ``RainTwin`` render ``synthetic_rain``, unless it has a severity of its own."""
    severity = new["synthetic_rain"]
    pipeline = [dict(step) for step in dataset["pipeline"]]
    for step in pipeline:
        if step["type"] == "RainTwin" and step.get("severity") in (None, old["synthetic_rain"]):
            if severity is None:
                raise ValueError(
                    "RainTwin renders the rain itself: set synthetic_rain to its severity, such as "
                    "3 or (1, 5); a rainy copy on disk does not say where its streaks are"
                )
            step["severity"] = severity
            if new.get("rain_components") != old.get("rain_components"):
                step["components"] = new["rain_components"]
    images = dataset["data_prefix"].get("img", "")
    data_root, rainy_root = new["data_root"], new["rainy_root"]
    is_clean = images.startswith(data_root) and len(data_root) >= len(rainy_root)
    if images.startswith(rainy_root) and not is_clean:
        images = data_root + images.removeprefix(rainy_root)
    dataset["data_prefix"] = dict(dataset["data_prefix"], img=images)
    dataset["pipeline"] = pipeline


FILLERS: dict[str, Callable[[Iterable[Target], Any, Any], None]] = dict(
    value=set_value,
    metainfo=set_metainfo,
    num_classes=set_num_classes,
    squares=set_squares,
    multi_scale=scale_sizes,
)
