"""A renderer of rain on photographs, on NumPy and OpenCV alone."""

from derain_plugin.rain.components import COMPONENTS, DEFAULT_COMPONENTS, component_shares
from derain_plugin.rain.render import render_rain
from derain_plugin.rain.seeding import RENDERER_VERSION, Seed, image_seed
from derain_plugin.rain.severity import SEVERITIES, Severity, draw_severity
from derain_plugin.rain.streaks import streak_mask

__all__ = [
    "COMPONENTS",
    "DEFAULT_COMPONENTS",
    "RENDERER_VERSION",
    "SEVERITIES",
    "Seed",
    "Severity",
    "component_shares",
    "draw_severity",
    "image_seed",
    "render_rain",
    "streak_mask",
]
