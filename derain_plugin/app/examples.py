"""Images to try that need no upload."""

from __future__ import annotations

from functools import cache

import numpy as np

from derain_plugin.rain.photos import load_photos
from projects.study.toy import render_scene

NUM_TOYS = 4
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
EXAMPLES = (*(f"toy test image {n}" for n in range(1, NUM_TOYS + 1)), *PHOTOS)
"""Names: the demo's first test images, and photographs for detectors of COCO's classes."""


@cache
def load_example(name: str) -> np.ndarray:
    """Return an example by its name: ``(H, W, 3)`` uint8, BGR; nobody may write into it.

    Raises:
        ValueError: No example has this name.
        ImportError: scikit-image is not installed.
    """
    if name not in EXAMPLES:
        raise ValueError(f"there is no example {name!r}; there are {', '.join(EXAMPLES)}")
    index = EXAMPLES.index(name)
    image = render_scene("test", index).image if index < NUM_TOYS else load_photos(name)[0]
    image.setflags(write=False)
    return image
