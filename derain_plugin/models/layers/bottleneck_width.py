"""Width of a narrow layer inside a wide one."""

import math

CHANNEL_STEP = 8


def bottleneck_width(channels: int, reduction: int) -> int:
    """Return ``channels / reduction`` rounded up to a multiple of 8, so never below 8.

    Rounding up keeps every channel count legal (3, 50, 255, ...) and small layers alive, and
    multiples of 8 are what vectorised convolutions like.

    >>> bottleneck_width(256, 4), bottleneck_width(50, 4), bottleneck_width(3, 4)
    (64, 16, 8)
    """
    return CHANNEL_STEP * math.ceil(channels / (CHANNEL_STEP * reduction))
