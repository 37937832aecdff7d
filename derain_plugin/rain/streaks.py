"""Streaks: drops smeared by the exposure, at several distances from the camera."""

from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import cv2
import numpy as np

from derain_plugin.rain.seeding import RENDERER_VERSION, Seed, random_stream
from derain_plugin.rain.severity import Severity

# Lengths are in units of the image height, or of a quarter of the width where that is more: a
# strip one pixel high would otherwise hold millions of streaks.
MAX_ASPECT = 4
# Pixels of one unit on the canvas at most. Streaks are soft, so enlarging them shows nothing,
# and large images get the rain of small ones at the price of small ones.
_MAX_UNIT = 320
_MAX_WOBBLE = 2.5  # degrees by which one drop differs from its image's lean
_MARGIN = 0.1  # streaks also enter from outside the frame
_SHADES = np.linspace(0.25, 1.0, 6)  # brightness of streaks, dimmest first
_SUBPIXEL_BITS = 4
_SUBPIXELS = 2**_SUBPIXEL_BITS  # in a pixel
# What OpenCV's antialiased lines of thickness 1 and 2 really are: width in pixels (measured).
_LINE_WIDTHS = {1: 1.4, 2: 3.4}
_LINE_REACH = 4  # pixels around its ends that a line may color, at most

# Opacity and length of the strokes that make one streak, relative to the whole. Soft ends
# are what tells a drop's trail from a scratch; a short streak needs fewer steps.
_LONG_TAPER = ((0.35, 1.0), (0.7, 0.75), (1.0, 0.45))
_SHORT_TAPER = ((0.6, 1.0), (1.0, 0.6))


@dataclass(frozen=True, slots=True)
class _Layer:
    """One distance: factors on the middle distance's figures."""

    size: float
    density: float
    opacity: float
    blur: float
    taper: tuple[tuple[float, float], ...]


# Farther is smaller, dimmer and denser. Milder rain uses the first layers only, so this is
# the order in which they appear: middle, far, near (large, few, out of focus), farthest.
_LAYERS = (
    _Layer(size=1.0, density=1.0, opacity=1.0, blur=1, taper=_LONG_TAPER),
    _Layer(size=0.5, density=2.5, opacity=0.7, blur=5 / 6, taper=_SHORT_TAPER),
    _Layer(size=2.2, density=0.1, opacity=0.7, blur=8 / 3, taper=_LONG_TAPER),
    _Layer(size=0.3, density=4.0, opacity=0.5, blur=5 / 6, taper=_SHORT_TAPER),
)


def streak_mask(
    height: int,
    width: int,
    severity: Severity,
    *,
    seed: Seed,
    version: int = RENDERER_VERSION,
    max_unit: int = _MAX_UNIT,
) -> np.ndarray:
    """Draw the opacity of all streaks.

    With the same seed, the streaks of a milder severity are among those of a worse one, at
    the same place and no smaller: coverage never falls as severity rises.

    Args:
        height: Of the mask.
        width: Of the mask.
        severity: Its row of the table.
        seed: As in :func:`render_rain`.
        version: Of the renderer, whose random numbers are drawn.
        max_unit: Height in pixels up to which streaks are drawn in full detail.

    Returns:
        ``(height, width)`` uint8; 0 is no rain, 255 an opaque streak.
    """
    unit = max(height, width / MAX_ASPECT)
    scale = min(1.0, max_unit / unit)
    size = _pixels(height * scale), _pixels(width * scale)
    clear: np.ndarray | None = None
    wind = random_stream(seed, "lean", version=version)
    lean = severity.angle + wind.uniform(-severity.angle_spread, severity.angle_spread)
    for index, layer in enumerate(_LAYERS[: severity.num_layers]):
        rng = random_stream(seed, f"layer {index}", version=version)
        canvas = _Canvas(np.zeros(size, np.uint8), unit=unit * scale)
        _paint(canvas, _scatter(canvas, layer, severity, lean=lean, rng=rng), layer, severity)
        blur = severity.blur * layer.blur * canvas.unit
        unseen = cv2.bitwise_not(cv2.GaussianBlur(canvas.mask, (0, 0), max(0.3, blur)))
        clear = unseen if clear is None else cv2.multiply(clear, unseen, clear, scale=1 / 255)
    return cv2.resize(cv2.bitwise_not(clear), (width, height))


def _pixels(length: float) -> int:
    return max(1, round(length))


class _Canvas(NamedTuple):
    mask: np.ndarray  # (H, W) uint8
    unit: float  # of length, in pixels


class _Streaks(NamedTuple):
    center: np.ndarray  # (2, S), x and y in subpixels
    half: np.ndarray  # (2, S), from the center to the lower end
    counts: np.ndarray  # streaks of each of _SHADES, which they are sorted by


def _scatter(
    canvas: _Canvas,
    layer: _Layer,
    severity: Severity,
    *,
    lean: float,
    rng: np.random.Generator,
) -> _Streaks:
    """Draw the streaks of a layer, without those that cannot be seen in the frame."""
    size = np.array(canvas.mask.shape[::-1])[:, None]
    frame = size / canvas.unit + 2 * _MARGIN
    count = round(severity.density * layer.density * frame.prod())
    # Filled row by row, so that more streaks leave the first ones unchanged.
    draws = rng.random((count, 5)).T
    stretch, wobble, light = draws[2:]
    unit = canvas.unit * _SUBPIXELS
    length = severity.length * layer.size * (0.4 + 1.2 * stretch)
    angle = np.deg2rad(lean + _MAX_WOBBLE * (2 * wobble - 1))
    center = unit * (draws[:2] * frame - _MARGIN)
    half = unit * length / 2 * np.stack([np.sin(angle), np.cos(angle)])
    shade = (light**2 * len(_SHADES)).astype(np.uint8)  # squared: few are bright
    seen = np.flatnonzero(_touch(size, center, half))
    order = seen[shade[seen].argsort(kind="stable")]
    counts = np.bincount(shade[seen], minlength=len(_SHADES))
    return _Streaks(center[:, order], half[:, order], counts)


def _touch(size: np.ndarray, center: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Tell which streaks may be seen in a frame of this width and height: (S,) bool."""
    middle = _SUBPIXELS / 2 * size
    near = np.abs(center - middle) < np.abs(half) + (middle + _SUBPIXELS * _LINE_REACH)
    return near[0] & near[1]


def _paint(canvas: _Canvas, streaks: _Streaks, layer: _Layer, severity: Severity) -> None:
    width = canvas.unit * severity.width * layer.size
    thickness = min(_LINE_WIDTHS, key=lambda t: abs(_LINE_WIDTHS[t] - width))
    # A streak thinner than its line lets more of the scene through.
    peak = 255 * severity.opacity * layer.opacity * min(1.0, width / _LINE_WIDTHS[thickness])
    stops = streaks.counts.cumsum().tolist()
    starts = [0, *stops[:-1]]
    strokes: list[tuple[float, float, np.ndarray]] = []
    for (opacity, reach), lines in zip(layer.taper, _lines(streaks, layer), strict=True):
        colors = (peak * _SHADES * opacity).tolist()
        strokes += (
            (color, reach, lines[start:stop])
            for color, start, stop in zip(colors, starts, stops, strict=True)
        )
    # A stroke replaces what is under it: brightest last, or dim ones would cut bright ones.
    for color, _, lines in sorted(strokes, key=itemgetter(0, 1)):
        cv2.polylines(
            canvas.mask,
            lines,  # type: ignore[call-overload]  # the stubs know lists alone; this is faster
            isClosed=False,
            color=round(color),
            thickness=thickness,
            lineType=cv2.LINE_AA,
            shift=_SUBPIXEL_BITS,
        )


def _lines(streaks: _Streaks, layer: _Layer) -> np.ndarray:
    """Return the ends of each streak's strokes: (stroke, S, end, x or y) int32, in subpixels."""
    reach = np.array([reach for _, reach in layer.taper])[:, None, None]
    drawn = reach * streaks.half
    ends = np.stack([streaks.center - drawn, streaks.center + drawn], axis=1)
    return np.rint(ends).transpose(0, 3, 1, 2).astype(np.int32, order="C")
