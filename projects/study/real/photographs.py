"""Where the photographs are, and which of them are for training, for choosing and for the report.

Run as ``python -m projects.study.real.photographs`` it converts the labels that are not COCO's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from derain_plugin.datasets.labels import LabelFormat, convert_labels, read_voc
from derain_plugin.files import atomic_write, sha256_of
from derain_plugin.rain.images import EXTENSIONS, files_below
from projects.study.settings import digest_of

CONFIG = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
WEIGHTS = "weights/yolox_nano_coco_mmdet.pth"

TRAINING = dict(clear_traffic="clear_traffic/images", highway="highway/train")
"""Folders of photos in clear weather to train on, by name."""

HIGHWAY_TRAIN = "highway/annotations/instances_train.json"
CONVERTED = dict(fog="dawn/fog", rain="dawn/rain")
"""Folders with ``images`` and VOC's labels in ``voc``; the fog is split in two halves."""


@dataclass(frozen=True)
class PhotoSet:
    """Labelled photographs that detectors are measured on.

    Attributes:
        name: In records, and of files.
        title: For people.
        images: Folder, in that of the data.
        annotations: COCO file in that of the data; None for a converted one of the same name.
        severity: Of the rain that is rendered on them.
        is_reported: Whether nothing is chosen by them: they are looked at with ``--report`` only.
    """

    name: str
    title: str
    images: str
    annotations: str | None = None
    severity: int = 0
    is_reported: bool = False


HIGHWAY = "highway/valid", "highway/annotations/instances_valid.json"
SETS = (
    PhotoSet("coco", "COCO val", "coco_val128/val2017",
             "coco_val128/annotations/instances_val2017.json"),
    PhotoSet("highway", "Highway", *HIGHWAY),
    PhotoSet("highway_1", "Highway, our rain 1", *HIGHWAY, severity=1),
    PhotoSet("highway_3", "Highway, our rain 3", *HIGHWAY, severity=3),
    PhotoSet("highway_5", "Highway, our rain 5", *HIGHWAY, severity=5),
    PhotoSet("fog_selection", "DAWN fog, selection half", "dawn/fog/images"),
    PhotoSet("rain", "DAWN rain", "dawn/rain/images", is_reported=True),
    PhotoSet("fog_report", "DAWN fog, report half", "dawn/fog/images", is_reported=True),
)  # fmt: skip
"""In the order of the report; COCO comes first."""


@dataclass(frozen=True)
class Photographs:
    """A folder of photographs, and where its converted labels are.

    Attributes:
        data: The folder; its layout is that of the tables above.
        folder: Where labels are converted to.
    """

    data: Path
    folder: Path

    def check(self) -> None:
        """Raise FileNotFoundError if something of the layout is missing."""
        needed = [WEIGHTS, HIGHWAY_TRAIN, *TRAINING.values()]
        needed += [part for each in SETS for part in (each.images, each.annotations) if part]
        needed += [f"{folder}/voc" for folder in CONVERTED.values()]
        missing = sorted({name for name in needed if not (self.data / name).exists()})
        if missing:
            raise FileNotFoundError(
                f"{self.data} lacks {', '.join(missing)}: docs/real_rain.md lists what the folder "
                "given by --data must hold"
            )

    def annotations(self, photos: PhotoSet) -> Path:
        """Return the COCO file of a set."""
        if photos.annotations is not None:
            return self.data / photos.annotations
        return self.folder / f"{photos.name}.json"

    def training(self, names: Sequence[str]) -> list[Path]:
        """Return the photos to train on."""
        return [photo for name in names for photo in _images_in(self.data / TRAINING[name])]

    def fog_targets(self) -> list[Path]:
        """Return the selection half of the photos of fog; its labels are not read."""
        return halves(_images_in(self.data / "dawn/fog/images"))[0]

    @cached_property
    def identity(self) -> str:
        """A digest of the weights and of names and sizes of all photos and labels."""
        folders = [*TRAINING.values(), *(each.images for each in SETS)]
        folders += [f"{folder}/voc" for folder in CONVERTED.values()]
        files = sorted({f for folder in folders for f in (self.data / folder).iterdir()})
        sizes = [[str(file.relative_to(self.data)), file.stat().st_size] for file in files]
        labels = {each.annotations for each in SETS} | {HIGHWAY_TRAIN}
        hashes = [sha256_of(self.data / name) for name in sorted(filter(None, labels))]
        return digest_of(sizes, hashes, sha256_of(self.data / WEIGHTS))

    def convert(self) -> None:
        """Write the labels of fog and rain in COCO's format."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fog, rain = (self._converted(name) for name in ("fog", "rain"))
        selection, report = (_only(fog, half) for half in halves(fog["images"]))
        for name, content in (("fog_selection", selection), ("fog_report", report), ("rain", rain)):
            atomic_write(self.folder / f"{name}.json", json.dumps(content))

    def _converted(self, name: str) -> dict[str, Any]:
        folder = self.data / CONVERTED[name]
        voc = LabelFormat("voc", ".xml", read_voc)
        content = convert_labels(
            folder / "images", folder / "voc", label_format=voc, overrides={}, ignored=()
        ).content
        content["images"].sort(key=lambda image: image["file_name"])
        return content


def halves(items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return every second of sorted items, from the first on, and the others."""
    return list(items[::2]), list(items[1::2])


def _images_in(folder: Path) -> list[Path]:
    return [folder / name for name in files_below(folder, EXTENSIONS)]


def _only(content: dict[str, Any], images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ids = {image["id"] for image in images}
    annotations = [each for each in content["annotations"] if each["image_id"] in ids]
    return dict(content, images=list(images), annotations=annotations)


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert the labels."""
    parser = argparse.ArgumentParser(description="Write DAWN's labels in COCO's format.")
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(arguments)
    Photographs(args.data, args.folder).convert()


if __name__ == "__main__":
    main()
