"""Class names of other data sets as COCO's 80."""

from collections.abc import Collection, Iterable, Mapping

from mmdet.datasets import CocoDataset

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
