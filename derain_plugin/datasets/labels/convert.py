"""Label files of a folder of images as one file in COCO's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from derain_plugin.datasets.labels.classes import (
    CATEGORY_IDS,
    NAMES_FILES,
    match_classes,
    own_classes,
)
from derain_plugin.datasets.labels.label_files import LabelError, LabelledBox
from derain_plugin.rain.images import EXTENSIONS, UnreadableError, files_below, read_image
from derain_plugin.version import __version__

_DECIMALS = 3  # of a pixel
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """How labels are written.

    Attributes:
        name: As the command line has it.
        suffix: Of a label file, with the dot.
        read: Takes a label file and its image's width and height in px; gives None for an image
            that is to be left out.
        names: Class names that the data set itself lists, in its order.
    """

    name: str
    suffix: str
    read: Callable[[Path, int, int], list[LabelledBox] | None]
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a folder of labels.

    Attributes:
        content: COCO's ``info``, ``images``, ``annotations`` and ``categories``.
        classes: For each class name of the labels its category, or None where it is ignored.
        ignored: Boxes of ignored classes, by name.
        unclear: Boxes whose ``difficult`` flag is neither yes nor no, by its text.
        dropped: Places of the boxes with no area inside their image.
        unlabelled: Images without a label file; ``content`` has them, without boxes.
        imageless: Label files without an image; nothing came of them.
        left_out: Images that were to be skipped for their labels; ``content`` lacks them.
    """

    content: dict
    classes: dict[str, str | None]
    ignored: Counter[str]
    unclear: Counter[str]
    dropped: list[str]
    unlabelled: list[str]
    imageless: list[str]
    left_out: list[str]


def convert_labels(
    images: Path,
    labels: Path,
    *,
    label_format: LabelFormat,
    overrides: Mapping[str, str],
    ignored: Collection[str],
    keep: Sequence[str] | None = None,
    skip_broken: bool = False,
) -> Conversion:
    """Convert the labels of all images in a folder and its sub-folders.

    The label file of ``images/a/b.jpg`` is ``labels/a/b.xml`` or ``.txt``. Categories are
    all of COCO's with COCO's ids, in COCO's order; or those of the data set, from 1. Images are
    numbered from 1 in the order of
    their relative paths, and have the size at which mmcv loads them, turned by their EXIF tag.
    Boxes are clipped to the image. What Pascal VOC calls difficult becomes COCO's ``iscrowd``,
    the one flag by which COCO's metric neither asks for a box nor counts its detection as false.

    Args:
        images: Folder of images.
        labels: Folder of label files; may be the same.
        label_format: How they are written.
        overrides: See :func:`match_classes`, or :func:`own_classes` if classes are kept.
        ignored: The same.
        keep: Keep the data set's class names, as these categories; if empty, as those that it
            lists or, without a list, those of its boxes, sorted. None: map to COCO's.
        skip_broken: Leave out images that cannot be read, or whose labels cannot.

    Raises:
        FileNotFoundError: If a folder is missing, or no image or no label of one is found.
        ValueError: If images cannot be read, two have the same label file, label files are
            malformed, or classes have no category. It names all that is wrong of one kind.
    """
    label_of = _label_files(images, labels, label_format)
    read, problems = _read_images(label_of, label_format)
    if problems and not skip_broken:
        raise ValueError(_all_of(problems))
    if not read:
        raise ValueError(f"no image of {images} is left: {_all_of(problems)}")
    names = {box.name for labelled in read.values() for box in labelled.boxes or ()}
    ids, classes = _categories(names, label_format.names, overrides, ignored, keep)
    source = f"{label_format.name} labels, converted by derain_plugin {__version__}"
    conversion = Conversion(
        content=dict(
            info=dict(description=source, class_map=classes),
            images=[],
            annotations=[],
            categories=[dict(id=id_, name=name) for name, id_ in ids.items()],
        ),
        classes=classes,
        ignored=Counter(),
        unclear=Counter(),
        dropped=[],
        unlabelled=[str(image) for image, label in label_of.items() if not label.is_file()],
        imageless=_imageless(labels, label_format, set(label_of.values())),
        left_out=[str(image) for image in label_of if image not in read],
    )
    for image, labelled in read.items():
        _add_image(image.relative_to(images).as_posix(), labelled, conversion, ids)
    return conversion


def _read_images(
    label_of: Mapping[Path, Path], label_format: LabelFormat
) -> tuple[dict[Path, _Labelled], list[str]]:
    read, problems = {}, []
    for image in tqdm(label_of, desc="labels", unit="image", disable=None):
        try:
            labelled = _read(image, label_of[image], label_format)
        except LabelError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(str(error))
        else:
            if labelled.boxes is not None:
                read[image] = labelled
    return read, problems


def _all_of(problems: Sequence[str]) -> str:
    if len(problems) < 2:
        return "".join(problems) or "all were to be skipped"
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "\n  ".join(
        [
            f"{len(problems)} labels or images cannot be used (--skip-broken leaves their images "
            "out):",
            *problems[:_SHOWN],
            *more,
        ]
    )


def _categories(
    names: Collection[str],
    listed: Sequence[str],
    overrides: Mapping[str, str],
    ignored: Collection[str],
    keep: Sequence[str] | None,
) -> tuple[Mapping[str, int], dict[str, str | None]]:
    """Return the id of each category, and the category of each name."""
    if keep is None:
        return CATEGORY_IDS, match_classes(names, overrides=overrides, ignored=ignored)
    if keep:
        wanted = [*keep]
    else:
        unwanted = {*ignored} | {*overrides} - {*overrides.values()}
        known = dict.fromkeys([*(listed or sorted(names)), *overrides.values()])
        wanted = [name for name in known if name not in unwanted]
    classes = own_classes(names, wanted=wanted, overrides=overrides, ignored=ignored)
    return {name: number for number, name in enumerate(wanted, start=1)}, classes


class _Labelled(NamedTuple):
    width: int
    height: int
    boxes: list[LabelledBox] | None


def _read(image: Path, label: Path, label_format: LabelFormat) -> _Labelled:
    try:
        height, width = read_image(image).shape[:2]
    except UnreadableError as error:
        raise ValueError(
            f"{image} cannot be read as an image: is the download complete? ({error})"
        ) from error
    boxes = label_format.read(label, width, height) if label.is_file() else []
    return _Labelled(width, height, boxes)


def _label_files(images: Path, labels: Path, label_format: LabelFormat) -> dict[Path, Path]:
    """Return each image's label file, which may be missing, in order of the images' ids."""
    for folder in (images, labels):
        if not folder.is_dir():
            raise FileNotFoundError(f"folder {folder} does not exist")
    found = files_below(images, EXTENSIONS)
    if not found:
        raise FileNotFoundError(f"no image ({', '.join(sorted(EXTENSIONS))}) in {images}")
    label_of: dict[Path, Path] = {}
    image_of: dict[Path, Path] = {}
    for name in found:
        image, label = images / name, labels / Path(name).with_suffix(label_format.suffix)
        if label in image_of:
            raise ValueError(f"{image_of[label]} and {image} have the same label file: rename one")
        label_of[image], image_of[label] = label, image
    if not any(label.is_file() for label in image_of):
        raise FileNotFoundError(
            f"no image in {images} has a label file in {labels}: the first, {next(iter(label_of))},"
            f" should have {next(iter(image_of))}"
        )
    return label_of


def _imageless(labels: Path, label_format: LabelFormat, known: set[Path]) -> list[str]:
    paths = [labels / name for name in files_below(labels, [label_format.suffix])]  # .XML, too
    return [str(path) for path in paths if path not in known and path.name not in NAMES_FILES]


def _add_image(
    file_name: str, labelled: _Labelled, conversion: Conversion, ids: Mapping[str, int]
) -> None:
    images = conversion.content["images"]
    width, height, boxes = labelled
    images.append(dict(id=len(images) + 1, file_name=file_name, width=width, height=height))
    for box in boxes or ():
        x, y, w, h = (round(value, _DECIMALS) for value in box.clipped(width, height))
        name = conversion.classes[box.name]
        conversion.unclear.update([box.unclear] * bool(box.unclear))
        if name is None:
            conversion.ignored[box.name] += 1
        elif box.is_left_out:
            continue
        elif w == 0 or h == 0:
            conversion.dropped.append(box.where)
        else:
            annotations = conversion.content["annotations"]
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=len(images), category_id=ids[name],
                    bbox=[x, y, w, h], area=round(w * h, _DECIMALS), iscrowd=int(box.is_difficult),
                )
            )  # fmt: skip
