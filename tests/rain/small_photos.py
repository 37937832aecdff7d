"""The images of most tests: small real photos in sub-folders, in two formats."""

import os
from pathlib import Path

import cv2

from derain_plugin.rain.copies import Recipe

MIXED = Recipe(severity=(1, 5), seed=3)
NAMES = (
    *(f"val2017/{number:012d}.jpg" for number in (139, 285, 632)),
    *(f"val2017/{number:012d}.png" for number in (724, 776, 785)),
    *(f"streets/night/photo_{number}.png" for number in range(3)),
    *(f"streets/{number}.JPG" for number in range(3)),
)


def write_small_photos(root: Path, sources: list[Path]) -> Path:
    """Write one photo of its own size for each of ``NAMES``, and a file that is none."""
    for index, name in enumerate(NAMES):
        photo = cv2.imread(os.fspath(sources[index % len(sources)]))
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(os.fspath(root / name), cv2.resize(photo, (72, 40 + 3 * index)))
    (root / "val2017/notes.txt").write_text("not an image")
    return root
