"""How the rain of one image differs from that of others of its severity."""

from typing import NamedTuple

from derain_plugin.rain.seeding import Seed, random_stream


class Look(NamedTuple):
    """What is drawn for an image, the same at every severity.

    Attributes:
        horizon: Where the ground ends, as a share of the image height from the top.
        airlight: Factor on the light of haze and spray.
        veil: Factor on the severity's.
        spray: Factor on the severity's.
        gloss: Factor on the severity's.
        softness: Factor on the severity's.
    """

    horizon: float
    airlight: float
    veil: float
    spray: float
    gloss: float
    softness: float


# Photographs of real rain differ that much: their sharpness by two orders of magnitude.
_LEAST = Look(horizon=0.38, airlight=0.9, veil=0.6, spray=0.5, gloss=0.5, softness=0.25)
_MOST = Look(horizon=0.55, airlight=1.1, veil=1.7, spray=2.0, gloss=2.0, softness=4.0)


def draw_look(seed: Seed) -> Look:
    """Draw the look of an image; factors are as likely below as above their middle."""
    draws = random_stream(seed, "look").random(len(_LEAST))
    ranges = zip(_LEAST, _MOST, draws, strict=True)
    return Look(*(least * (most / least) ** draw for least, most, draw in ranges))
