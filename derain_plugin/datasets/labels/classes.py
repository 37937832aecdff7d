"""What classes are called: by YOLO, whose labels only number them, and by COCO."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from mmdet.datasets import CocoDataset

NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")
_LEVELS_UP = 2  # from labels/train or obj_train_data to the root of the data set

COCO_NAMES: tuple[str, ...] = CocoDataset.METAINFO["classes"]
_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
CATEGORY_IDS: Mapping[str, int] = dict(
    zip(COCO_NAMES, sorted(set(range(1, 91)) - _UNUSED_IDS), strict=True)
)
"""COCO's own category id of each name, in COCO's order."""

# Words that mean one class of COCO and the same extent of the box. Left out on purpose: "rider"
# and "cyclist", whose box holds the bicycle in some data sets and not in others, "people", which
# may be a group, "bike", which may have a motor, and "van", which COCO has as car or truck.
_SYNONYMS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "pedestrian": "person",
    "sofa": "couch",
    "tvmonitor": "tv",
}


def find_names_file(labels: Path) -> Path:
    """Return the one of ``NAMES_FILES`` in ``labels``, or in the nearer of two folders above.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If two of them in one folder give different names.
    """
    folder = labels.resolve()
    for candidate in (folder, *folder.parents[:_LEVELS_UP]):
        found = [candidate / name for name in NAMES_FILES if (candidate / name).is_file()]
        if any(read_class_names(other) != read_class_names(found[0]) for other in found[1:]):
            raise ValueError(f"{found} disagree on the class names: choose with --names")
        if found:
            return found[0]
    raise FileNotFoundError(
        f"no {' or '.join(NAMES_FILES)} in {labels} or the {_LEVELS_UP} folders above it: give "
        "the class names with --names, as a file or one by one"
    )


def read_class_names(path: Path) -> Mapping[int, str]:
    """Read the names in a data.yaml of Ultralytics, or in a text file with one on each line.

    Returns:
        Class name of each index; indices may be missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not text, or a yaml without ``names``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"names file {path} does not exist")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix not in (".yaml", ".yml"):
            return {i: line.strip() for i, line in enumerate(text.splitlines()) if line.strip()}
        # All is text: a class may be called no, on, 007 or null.
        names = (yaml.load(text, yaml.BaseLoader) or {})["names"]
        if isinstance(names, str):
            raise TypeError(f"names is the text {names!r}")
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(index): str(name) for index, name in pairs}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} gives no class names: it must be a yaml with a list or a mapping from index "
            f"to name under `names`, or text with a name on each line ({error!r})"
        ) from error


def read_keypoints(path: Path) -> tuple[int, int] | None:
    """Return ``kpt_shape`` of a data.yaml: keypoints, and numbers of each. None without.

    Raises:
        ValueError: It is not a pair of positive whole numbers.
    """
    shape = (yaml.safe_load(path.read_text(encoding="utf-8-sig")) or {}).get("kpt_shape")
    if shape is None:
        return None
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(number, int) and number > 0 for number in shape)
    ):
        raise ValueError(f"{path}: kpt_shape must be two whole numbers, got {shape!r}")
    return shape[0], shape[1]


def own_classes(
    names: Iterable[str],
    *,
    wanted: Sequence[str],
    overrides: Mapping[str, str],
    ignored: Collection[str],
) -> dict[str, str | None]:
    """Keep the names of a data set, spelled as they are.

    Args:
        names: Class names of its boxes.
        wanted: Its categories.
        overrides: Names, and the category that each means.
        ignored: Names whose boxes are not wanted.

    Returns:
        For each of ``names`` one of ``wanted``, or None where it is ignored.

    Raises:
        ValueError: If a name is in none of them, or an override leads to no category.
    """
    if astray := sorted({*overrides.values()} - {*wanted}):
        raise ValueError(
            f"class map: {_listed(astray)} is no category; there are {_listed(wanted)}"
        )
    if unknown := sorted({*names} - {*wanted} - {*ignored} - overrides.keys()):
        raise ValueError(
            f"{_listed(unknown)} is no category of {_listed(wanted)}: add it to --keep-classes, "
            f"or use --class-map {unknown[0]!r}={wanted[0]!r} or --ignore {unknown[0]!r}"
        )
    return {
        name: None if name in ignored else overrides.get(name, name) for name in sorted({*names})
    }


def match_classes(
    names: Iterable[str], *, overrides: Mapping[str, str], ignored: Collection[str]
) -> dict[str, str | None]:
    """Find the class of COCO that each name means.

    Names are compared without case, white space, ``-`` and ``_``. COCO's own names and
    well-known synonyms, Pascal VOC's among them, need no override.

    Args:
        names: Class names of a data set.
        overrides: Names of the data set, and the class of COCO that each means.
        ignored: Names whose boxes are not wanted.

    Returns:
        For each of ``names`` a name of COCO, or None where it is ignored.

    Raises:
        ValueError: If names mean no class of COCO and are not ignored, an override leads to
            something that is not a class of COCO, or a name is both overridden and ignored.
    """
    known = {_key(name): name for name in COCO_NAMES} | _SYNONYMS
    known |= {_key(name): _coco_name(target, of=name) for name, target in overrides.items()}
    unwanted = {_key(name) for name in ignored}
    if both := [name for name in overrides if _key(name) in unwanted]:
        raise ValueError(f"{_listed(both)}: mapped to a class and ignored; choose one")
    names = sorted(set(names))
    if unknown := [name for name in names if _key(name) not in known.keys() | unwanted]:
        raise ValueError(
            f"no class of COCO for {_listed(unknown)}: say what each means with "
            f"--class-map {unknown[0]!r}=car, or leave its boxes out with --ignore {unknown[0]!r}"
        )
    return {name: None if _key(name) in unwanted else known[_key(name)] for name in names}


def _coco_name(target: str, *, of: str) -> str:
    for name in COCO_NAMES:
        if _key(name) == _key(target):
            return name
    raise ValueError(f"class map {of!r}={target!r}: COCO has no class {target!r}")


def _key(name: str) -> str:
    return "".join(name.lower().replace("-", " ").replace("_", " ").split())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
