"""Labels of darknet and Ultralytics: a text file per image, a line per object."""

from collections.abc import Mapping
from pathlib import Path

from derain_plugin.datasets.labels.labelled_box import LabelledBox, parse_yolo_line

_ROUNDING = 0.01  # by which coordinates may leave the image before they must be in px


def read_yolo(
    path: Path, width: int, height: int, *, names: Mapping[int, str]
) -> list[LabelledBox]:
    """Read ``class x_center y_center width height`` lines, or ``class x y x y x y ...`` polygons.

    Args:
        path: Label file; an empty one says that nothing is there to be found.
        width: Of the image as it is loaded, in px.
        height: The same.
        names: Class name of each index.

    Raises:
        ValueError: If a line has another number of columns, something that is not a finite
            number, a coordinate outside 0-1, or an index without a name; it names the line.
    """
    return [
        _read_line(line, f"{path}:{number}", width=width, height=height, names=names)
        for number, line in enumerate(_lines(path), start=1)
        if line.strip()
    ]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error


def _read_line(
    line: str, where: str, *, width: int, height: int, names: Mapping[int, str]
) -> LabelledBox:
    try:
        _check_columns(line.split())
        index, corners = parse_yolo_line(line, width=width, height=height)
        if index not in names:
            raise ValueError(f"class {index} has no name; there are names for {sorted(names)}")
    except (ValueError, OverflowError) as error:  # the latter for an index of 20 digits
        raise ValueError(f"{where}: {error}") from error
    return LabelledBox(names[index], corners, where)


def _check_columns(columns: list[str]) -> None:
    if len(columns) != 5 and (len(columns) < 7 or len(columns) % 2 == 0):
        raise ValueError(
            f"{len(columns)} columns; a label has 5, class x_center y_center width height, or a "
            "polygon 1 + 2 per corner. Those with confidences are predictions"
        )
    for text in columns[1:]:
        if not -_ROUNDING <= float(text) <= 1 + _ROUNDING:
            raise ValueError(f"{text} must be in 0-1, as a share of the image's width or height")
