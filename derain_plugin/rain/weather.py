"""Weather: whether it rains on an image, and how hard."""

from derain_plugin.rain.seeding import Seed, random_stream
from derain_plugin.rain.severity import check_severity


def draw_severity(mildest: int, worst: int, *, seed: Seed, prob: float = 1.0) -> int:
    """Draw a severity uniformly from ``mildest`` to ``worst``, or 0 where it does not rain.

    Args:
        mildest: 0 to 5.
        worst: ``mildest`` to 5, included.
        seed: What also seeds :func:`render_rain` for this image.
        prob: How probable rain is, 0-1. The seeds on which it rains at a smaller ``prob`` are
            among those of a larger one.

    Raises:
        TypeError: If a severity is not an integer.
        ValueError: If a severity is outside 0-5, or the range is empty.
    """
    check_severity_range(mildest, worst)
    weather = random_stream(seed, "weather")
    rains = weather.random() < prob
    return int(weather.integers(mildest, worst + 1)) if rains else 0


def check_severity_range(mildest: int, worst: int) -> None:
    """Raise unless both are severities, in this order."""
    for end in (mildest, worst):
        check_severity(end)
    if mildest > worst:
        raise ValueError(f"a severity range goes from mild to worst, got {(mildest, worst)}")
