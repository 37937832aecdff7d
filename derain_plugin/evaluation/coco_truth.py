"""Ground truth of a COCO annotation file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KEPT = ("id", "image_id", "category_id", "bbox", "area")


class CocoTruth:
    """What evaluation needs of an annotation file, without its outlines.

    Attributes:
        path: The file.
        image_ids: Ids of the images that it lists.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a COCO annotation file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"annotation file {path} is not a file")
        self.path = path
        try:
            content = json.loads(path.read_bytes())
            self.image_ids = {image["id"] for image in content["images"]}
            self._categories = {c["id"]: c["name"] for c in content["categories"]}
            self._annotations = _by_image(content["annotations"])
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} is not a COCO annotation file ({reason})") from error

    def category_ids(self, classes: Sequence[str] | None = None) -> list[int]:
        """Return the category of each label, as mmdet's ``CocoDataset`` numbers them.

        Args:
            classes: Names that the config's ``classes`` gives; all of the file by default. Their
                order does not matter: labels follow the order of the file.

        Raises:
            ValueError: The file lacks one of ``classes``.
        """
        names = list(self._categories.values())
        unknown = [name for name in classes or () if name not in names]
        if unknown:
            raise ValueError(f"{self.path} has no classes {unknown}; it has {names}")
        return [i for i, name in self._categories.items() if classes is None or name in classes]

    def annotations_of(self, image_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the annotations of some images, in the order of the file within an image."""
        return [ann for image_id in image_ids for ann in self._annotations.get(image_id, ())]


def _by_image(annotations: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        kept = {key: annotation[key] for key in KEPT}
        by_image[annotation["image_id"]].append(dict(kept, iscrowd=annotation.get("iscrowd", 0)))
    return by_image
