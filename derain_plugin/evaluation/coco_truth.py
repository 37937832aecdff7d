"""Ground truth of a COCO annotation file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from derain_plugin.datasets.annotations import category_ids, read_annotations
from derain_plugin.datasets.label_map import listed
from derain_plugin.evaluation.saved_predictions import SavedPredictions

KEPT = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")


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
            content = read_annotations(path, outlines=False)
        except ValueError as error:
            raise ValueError(f"{path} is not a COCO annotation file ({error})") from error
        self.image_ids = {image["id"] for image in content["images"]}
        self._categories = content["categories"]
        self._annotations = _by_image(content["annotations"])

    def category_ids(self, classes: Sequence[str] | None = None) -> list[int]:
        """Return the category of each label, as :class:`NamedCocoDataset` numbers them.

        Args:
            classes: Those that were tested, in the order of their labels; by default all of the
                file, in its order.

        Raises:
            ValueError: The file lacks one of ``classes``.
        """
        names = [category["name"] for category in self._categories] if classes is None else classes
        return category_ids({"categories": self._categories}, names, self.path)

    def labels_of(
        self, predictions: SavedPredictions, classes: Sequence[str] | None = None
    ) -> list[int]:
        """Return the category of each label of saved predictions.

        Args:
            predictions: Without the names of their classes, labels follow the file's order, as
                mmdet's own ``CocoDataset`` numbers them.
            classes: Then: those that were tested, in any order; by default all of the file.

        Raises:
            ValueError: The file lacks a class, or ``classes`` are not those of the predictions.
        """
        named = predictions.classes
        if named is not None and classes is not None and set(named) != set(classes):
            raise ValueError(
                f"{predictions.source} was tested with the classes {listed(named)}, not "
                f"{listed(tuple(classes))}: leave the classes out"
            )
        if named is None and classes is not None:
            self.category_ids(classes)
            listed_here = [category["name"] for category in self._categories]
            classes = [name for name in listed_here if name in classes]
        return self.category_ids(named or classes)

    def annotations_of(self, image_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the annotations of some images, in the order of the file within an image."""
        return [ann for image_id in image_ids for ann in self._annotations.get(image_id, ())]


def _by_image(annotations: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        by_image[annotation["image_id"]].append({key: annotation[key] for key in KEPT})
    return by_image
