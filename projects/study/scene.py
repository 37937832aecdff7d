"""Compose one image of the study: pieces of photographs, clutter, overlapping objects."""

from __future__ import annotations

import cv2
import numpy as np

from projects.study import difficulty as hard
from projects.study.glyphs import CLASSES, DISTRACTORS, GLYPHS, STYLES, draw_glyph, draw_look
from projects.study.paint import Stamp, fill_stamp, make_stamp, photo_stamp
from projects.study.photos import load_split
from projects.study.toy.photos import random_crop
from projects.study.toy.scene import Scene

_SPLITS = ("train", "val", "test")
_TRIES = 8
_NOBODY = -1


def render_study_scene(split: str, index: int, *, seed: int = 0) -> Scene:
    """Return image ``index`` of a split; the same arguments give the same image.

    Boxes are tight around an object's visible pixels. An object's area, by which COCO tells
    small from large, is that of its box: a pictograph fills little of it. The notes say what
    share of its own pixels is visible, and its glyph and style.
    """
    rng = np.random.default_rng((hard.DATA_VERSION, seed, _SPLITS.index(split), index))
    width, height = hard.SIZES[rng.integers(len(hard.SIZES))]
    image = _Image(load_split(split), width, height, rng)
    for _ in range(_between(hard.PATCHES, rng)):
        image.add(photo_stamp(_side(rng), rng))
    for kind in _order(rng):
        image.add_some(kind)
    return image.scene()


def _order(rng: np.random.Generator) -> list[str]:
    """Deal out what is drawn when: objects, things of no class, and pieces of photographs."""
    counts = dict(object=hard.OBJECTS, distractor=hard.DISTRACTORS, occluder=hard.OCCLUDERS)
    kinds = [kind for kind, ends in counts.items() for _ in range(_between(ends, rng))]
    return rng.permutation(kinds).tolist()


class _Image:
    """An image in the making."""

    def __init__(
        self, photos: tuple[np.ndarray, ...], width: int, height: int, rng: np.random.Generator
    ) -> None:
        self.photos, self.rng = photos, rng
        self.image = random_crop(photos, width, height, rng)
        self.owner = np.full((height, width), _NOBODY, np.int16)  # the object each pixel shows
        self.full_areas: list[int] = []
        self.labels: list[int] = []
        self.notes: list[dict] = []

    def add_some(self, kind: str) -> None:
        """Draw something of a kind where it leaves enough of the objects; else give up."""
        for _ in range(_TRIES):
            if kind == "object":
                placed = self._add_object()
            elif kind == "distractor":
                placed = self.add(_distractor(self.rng))
            else:
                placed = self.add(photo_stamp(0.5 * _side(self.rng), self.rng))
            if placed:
                return

    def _add_object(self) -> bool:
        label = int(self.rng.integers(len(CLASSES)))
        glyph = str(self.rng.choice(list(GLYPHS[CLASSES[label]])))
        style = str(self.rng.choice(list(STYLES)))
        hue = 2 * np.pi * label / len(CLASSES) if self.rng.random() < hard.TYPICAL else None
        look = draw_look(draw_glyph(glyph), style)
        stamp = make_stamp(look, _side(self.rng), self.rng, hue=hue)
        if not self.add(stamp, owner=len(self.labels)):
            return False
        self.labels.append(label)
        self.notes.append(dict(glyph=glyph, style=style))
        return True

    def add(self, stamp: Stamp, *, owner: int = _NOBODY) -> bool:
        """Draw it at a random place; tell whether that was allowed."""
        found = self._place(stamp)
        if found is None:
            return False
        window, cut = found
        solid = stamp.cover[cut] > 127
        areas = list(self.full_areas)
        after = self.owner.copy()
        after[window][solid] = owner
        if owner != _NOBODY:
            areas.append(int((stamp.cover > 127).sum()))
        visible = np.bincount(after[after >= 0], minlength=len(areas))
        if any(visible < [hard.MIN_VISIBLE * area for area in areas]):
            return False
        self.owner, self.full_areas = after, areas
        fill_stamp(self.image[window], stamp, cut, self.photos, self.rng)
        return True

    def _place(self, stamp: Stamp) -> tuple[tuple, tuple] | None:
        """Return the window of the image, and the part of the stamp that lies in it."""
        places = []
        for length, size in zip(self.owner.shape, stamp.cover.shape, strict=True):
            low = -int(hard.OUTSIDE * size)
            high = length - size - low
            if high < low:
                return None
            start = int(self.rng.integers(low, high + 1))
            places.append((max(0, start), min(length, start + size), max(0, -start)))
        window = tuple(slice(begin, end) for begin, end, _ in places)
        cut = tuple(slice(skip, skip + end - begin) for begin, end, skip in places)
        return window, cut

    def scene(self) -> Scene:
        """Take the image."""
        image = cv2.GaussianBlur(self.image, (0, 0), self.rng.uniform(*hard.BLUR))
        light = self.rng.uniform(*hard.LIGHT)
        image = cv2.convertScaleAbs(image, alpha=light, beta=(1 - light) * image.mean())
        masks = [(self.owner == i).astype(np.uint8) for i in range(len(self.labels))]
        boxes = np.array([cv2.boundingRect(mask) for mask in masks]).reshape(-1, 4)
        shares = [m.sum() / area for m, area in zip(masks, self.full_areas, strict=True)]
        notes = tuple(
            dict(note, visible=round(float(share), 3))
            for note, share in zip(self.notes, shares, strict=True)
        )
        return Scene(image, np.array(self.labels, int), boxes, boxes[:, 2] * boxes[:, 3], notes)


def _distractor(rng: np.random.Generator) -> Stamp:
    """Draw an object of no class, or a third of one that has a class."""
    style = str(rng.choice(list(STYLES)))
    if rng.random() < 0.6:
        look = draw_look(draw_glyph(str(rng.choice(list(DISTRACTORS)))), style)
    else:
        glyph = draw_glyph(str(rng.choice(list("".join(GLYPHS.values()))))).copy()
        rows, columns = np.nonzero(glyph)
        along = rows if rng.random() < 0.5 else columns
        glyph[rows[along > np.quantile(along, 0.33)], columns[along > np.quantile(along, 0.33)]] = 0
        look = draw_look(glyph, style)
    return make_stamp(look, 0.7 * _side(rng), rng)


def _side(rng: np.random.Generator) -> float:
    """Draw the square root of a box's area, px."""
    choice = rng.choice(len(hard.SIDES), p=[share for _, share in hard.SIDES])
    low, high = hard.SIDES[choice][0]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _between(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))
