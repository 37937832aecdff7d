"""The study's photographs; no image is in two splits."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from projects.study.toy.photos import PHOTOS as TOY_PHOTOS
from projects.study.toy.photos import load_split as load_toy_split

FURTHER_PHOTOS = {
    "train": ("imgaug", "quokka.jpg"),
    "val": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
"""Photographs besides those of scikit-image: the package that ships them, and where in it."""

PHOTOS = {
    split: (*names, *(Path(file).stem for key, (_, file) in FURTHER_PHOTOS.items() if key == split))
    for split, names in TOY_PHOTOS.items()
}
"""Names of the photographs of each split."""


@cache
def load_split(split: str) -> tuple[np.ndarray, ...]:
    """Return the photographs of ``train``, ``val`` or ``test``: ``(H, W, 3)`` uint8, BGR.

    Raises:
        ImportError: A package that ships one is not installed.
    """
    further = [_load(*FURTHER_PHOTOS[split])] if split in FURTHER_PHOTOS else []
    return (*load_toy_split(split), *further)


def _load(package: str, file: str) -> np.ndarray:
    # Found without importing it: imgaug takes seconds, and seeds itself from NumPy.
    spec = find_spec(package)
    photo = cv2.imread(str(Path(spec.origin).parent / file)) if spec and spec.origin else None
    if photo is None:
        pip_name = {"imgaug": "imaug"}.get(package, package)
        raise ImportError(f"the photograph {file} comes from {package}: pip install {pip_name}")
    return photo
