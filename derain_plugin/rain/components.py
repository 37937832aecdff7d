"""What rain is made of: components to be combined, and which of them an image gets."""

from collections.abc import Collection, Mapping
from functools import lru_cache

from derain_plugin.rain.seeding import Seed, random_stream

COMPONENTS = ("streaks", "veil", "spray", "wet_ground", "soft_focus", "lens_drops")
"""All there are; ``docs/rain.md`` describes them."""

Components = str | Collection[str] | Mapping[str, float]
"""Names, or by name the share of the images that get it; as text, ``"streaks=0.5,veil"``."""

DEFAULT_COMPONENTS = "streaks=0.8,veil,spray=0.8,wet_ground=0.8,soft_focus=0.8"
"""What rain is made of where nobody says otherwise."""


def component_shares(components: Components) -> dict[str, float]:
    """Return the share of the images that get a component, above 0 to 1, by its name.

    Example:
        >>> component_shares("streaks=0.5,veil")
        {'streaks': 0.5, 'veil': 1.0}

    Raises:
        ValueError: A name or share is none, or no component is left.
    """
    if isinstance(components, str):
        return dict(_shares_in_text(components))
    if not isinstance(components, Mapping):
        components = dict(_parse(part) for part in components)
    for name, share in components.items():
        if name not in COMPONENTS:
            raise ValueError(f"{name!r} is no component of rain; there are {', '.join(COMPONENTS)}")
        if not 0 <= share <= 1:
            raise ValueError(f"the share of images with {name} must be in 0-1, got {share}")
    shares = {name: float(components.get(name, 0)) for name in COMPONENTS}
    if not any(shares.values()):
        raise ValueError(f"rain needs a component, got {components!r}; see {', '.join(COMPONENTS)}")
    return {name: share for name, share in shares.items() if share}


@lru_cache  # a run renders every image with the same text
def _shares_in_text(text: str) -> dict[str, float]:
    return component_shares(dict(_parse(part) for part in text.split(",")))


def _parse(text: str) -> tuple[str, float]:
    name, is_given, share = text.partition("=")
    try:
        return name.strip(), float(share) if is_given else 1.0
    except ValueError as error:
        raise ValueError(f"the share of a component is like 0.5, got {text!r}") from error


def draw_components(components: Components, *, seed: Seed, lens_drops: bool = False) -> set[str]:
    """Draw which components an image gets: at least one, and the same at every severity.

    With the same seed, the components of smaller shares are among those of larger ones.

    Args:
        components: Those to draw from, with their shares.
        seed: As in :func:`render_rain`.
        lens_drops: Whether the lens is wet in any case.
    """
    shares = component_shares(components)
    draws = random_stream(seed, "components").random(len(COMPONENTS))
    drawn = {name: draws[COMPONENTS.index(name)] / share for name, share in shares.items()}
    limit = max(1.0, min(drawn.values()))
    wet = {"lens_drops"} if lens_drops else set()
    return wet | {name for name, draw in drawn.items() if draw <= limit}
