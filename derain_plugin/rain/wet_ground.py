"""Wet ground: glossy, so that it mirrors what stands behind it, and darker."""

import cv2
import numpy as np

from derain_plugin.rain.film import Film
from derain_plugin.rain.mist import smooth_field
from derain_plugin.rain.seeding import Seed, random_stream

_SMEAR = 0.12  # of the image height: rough ground draws reflections out downwards
_FADE = 0.12  # of the ground: up to where its gloss sets in, as the horizon is but a guess
_DARKNESS = 0.6  # how much of its own light the ground loses where it mirrors


def wet_the_ground(
    film: Film, image: np.ndarray, *, horizon: float, gloss: float, seed: Seed
) -> None:
    """Lay the gloss of wet ground on an empty film.

    What is above the horizon appears below it, upside down and smeared; most of it far away, where
    light glances, and less on dry spots.

    Args:
        film: Of the image.
        image: ``(H, W, 3)`` uint8.
        horizon: As a share of the image height from the top.
        gloss: Share of the light that is mirrored at the horizon, 0-1.
        seed: As in :func:`render_rain`.
    """
    size = film.width, film.height
    scene = cv2.resize(image, size, interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    edge = min(max(1, round(horizon * film.height)), film.height)
    near = (np.arange(film.height, dtype=np.float32) + 0.5 - edge) / max(1, film.height - edge)
    above = np.clip(np.rint(edge - 1 - near * (edge - 1)), 0, film.height - 1).astype(int)
    smear = 1 + 2 * round(_SMEAR * film.height / 2)
    mirrored = cv2.blur(scene[above], (3, smear))
    glancing = (near / _FADE).clip(0, 1) * (1 - 0.7 * near.clip(0, 1))
    spots = smooth_field(film.height, film.width, random_stream(seed, "puddles"))
    share = gloss * glancing[:, None] * (0.4 + 0.6 * spots)
    film.passes *= 1 - _DARKNESS * share
    film.lay(share, mirrored.transpose(2, 0, 1))
