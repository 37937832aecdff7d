"""Build one side of a clean/rainy mix and list its images, with errors that name the side."""

import logging
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from derain_plugin.datasets.named_coco_dataset import NamedCocoDataset
from derain_plugin.rain.images import hint_at, missing_files

OF_A_SIDE = ("pipeline", "data_prefix")


def build_sides(clean: Mapping, rainy: Mapping) -> tuple[BaseDataset, BaseDataset]:
    """Build and load both sides; see :func:`build_side`.

    Sides that differ only in their pipeline (rain on the fly), or in their image folder (a
    rendered copy) too, share the annotations: half the time to load them, half the memory to hold
    them.
    """
    dataset = build_side("clean", clean)
    if not isinstance(rainy, Mapping) or _options(clean) != _options(rainy):
        return dataset, build_side("rainy", rainy)
    other = _open_side("rainy", rainy)
    if not _can_lend(dataset, other):
        _load("rainy", other)
        return dataset, other
    own = {key: vars(other)[key] for key in OF_A_SIDE}
    vars(other).update(vars(dataset), **own)
    return dataset, other


def _can_lend(dataset: BaseDataset, other: BaseDataset) -> bool:
    if type(dataset) is NamedCocoDataset:
        return dataset.can_lend_to(other)
    return dataset.data_prefix == other.data_prefix


def build_side(side: str, cfg: Mapping) -> BaseDataset:
    """Build and load the dataset of one side.

    Args:
        side: ``"clean"`` or ``"rainy"``, the config key that messages point at.
        cfg: Config of a dataset derived from mmengine's ``BaseDataset``, such as
            ``CocoDataset``.

    Raises:
        TypeError: ``cfg`` is no config of such a dataset.
        FileNotFoundError: Its annotation file or an image folder is missing.
        ValueError: It is a test set, or no image passes its filter.
    """
    dataset = _open_side(side, cfg)
    _load(side, dataset)
    return dataset


def _open_side(side: str, cfg: Mapping) -> BaseDataset:
    if not isinstance(cfg, Mapping):
        raise TypeError(f"{side} must be the config dict of a dataset, got {cfg!r}")
    dataset = DATASETS.build({**cfg, "lazy_init": True})
    if not isinstance(dataset, BaseDataset):
        raise TypeError(
            f"{side} must be a dataset derived from mmengine's BaseDataset, got "
            f"{type(dataset).__name__}; wrap RainMixDataset in it instead"
        )
    if dataset.test_mode:
        raise ValueError(
            f"{side}.test_mode must be False: test sets skip filter_cfg and bad images; "
            "evaluate the clean and the rainy images as two datasets"
        )
    _check_paths(side, dataset)
    return dataset


def list_images(side: str, dataset: BaseDataset) -> dict[str, int]:
    """Map each image's file name, relative to the image folder, to its index.

    Listed images whose file is not there (a copy that is rendered in part) are
    left out with a warning; remote storage is not looked at.

    Raises:
        FileNotFoundError: None of the listed images is there.
        ValueError: Two entries have the same file name.
    """
    images: dict[str, int] = {}
    prefix = _image_prefix(dataset)
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    missing = missing_files(path for path in paths if _is_local(dataset, path))
    for index, path in enumerate(paths):
        name = _name_of(path, prefix)
        if name in images:
            raise ValueError(f"{side}: {name!r} is listed twice in {dataset.ann_file!r}")
        images[name] = index
    if missing:
        absent = set(missing)
        images = {name: index for name, index in images.items() if paths[index] not in absent}
        message = f"{side}: {len(missing)} of {len(dataset)} listed images are missing, "
        message += f"for example {missing[0]!r}"
        message += hint_at(prefix, _name_of(missing[0], prefix))
        if not images:
            raise FileNotFoundError(f"{message}; set {side}.data_root or {side}.data_prefix")
        print_log(f"{message}; they are left out", logger="current", level=logging.WARNING)
    return images


def _options(cfg: Mapping) -> dict:
    return {key: value for key, value in cfg.items() if key not in OF_A_SIDE}


def _check_paths(side: str, dataset: BaseDataset) -> None:
    if _is_local(dataset, dataset.ann_file) and not Path(dataset.ann_file).is_file():
        raise FileNotFoundError(
            f"{side}: annotation file {dataset.ann_file!r} does not exist; "
            f"set {side}.data_root or {side}.ann_file"
        )
    for key, folder in dataset.data_prefix.items():
        if _is_local(dataset, folder) and not Path(folder).is_dir():
            raise FileNotFoundError(
                f"{side}: image folder {folder!r} does not exist; "
                f"set {side}.data_root or {side}.data_prefix.{key}"
            )


def _load(side: str, dataset: BaseDataset) -> None:
    try:
        dataset.full_init()
        is_empty = len(dataset) == 0
    except ValueError as error:
        # How mmengine fails to serialise an empty list.
        is_empty = "need at least one array" in str(error)
        if not is_empty:
            raise
    if is_empty:
        raise ValueError(
            f"{side}: no image of {dataset.ann_file!r} is left with filter_cfg="
            f"{dataset.filter_cfg} and classes={dataset.metainfo.get('classes')}"
        )


def refuse_same_files(
    clean: BaseDataset, rainy: BaseDataset, names: Sequence[Iterable[str]]
) -> None:
    """Refuse file names that lead out of their folder, to an image of the other side's folder.

    Args:
        clean: A side.
        rainy: The other side.
        names: Of the images on either side, as :func:`list_images` has them.

    Raises:
        ValueError: There is one; both sides would show the same image.
    """
    prefixes = _image_prefix(clean), _image_prefix(rainy)
    leads_out = any(name.startswith(("/", "..")) for side in names for name in side)
    if prefixes[0] == prefixes[1] or not leads_out:
        return
    files = [
        {posixpath.normpath(posixpath.join(prefix, name)) for name in side}
        for prefix, side in zip(prefixes, names, strict=True)
    ]
    if same := sorted(files[0] & files[1]):
        raise ValueError(
            f"{same[0]} is both the clean and the rainy image, as its file_name leads out of the "
            "image folder: write each file_name relative to that folder"
        )


def _name_of(path: str, prefix: str) -> str:
    is_below = bool(prefix) and path.startswith(prefix)
    return posixpath.normpath(path.removeprefix(prefix).lstrip("/") if is_below else path)


def _image_prefix(dataset: BaseDataset) -> str:
    prefixes = (dataset.data_prefix.get(key) for key in ("img", "img_path"))
    return next(filter(None, prefixes), dataset.data_root or "")


def _is_local(dataset: BaseDataset, path: str) -> bool:
    return bool(path) and "://" not in path and not getattr(dataset, "backend_args", None)
