"""Annotations of the first images of a split: ``python -m projects.study.first_images``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.files import atomic_write


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the annotations of the images with the lowest ids."""
    parser = argparse.ArgumentParser(description="Keep the images of the lowest ids.")
    parser.add_argument("annotations", type=Path, help="COCO annotations")
    parser.add_argument("count", type=int, help="how many images to keep")
    parser.add_argument("out", type=Path, help="json to write")
    args = parser.parse_args(arguments)
    content = json.loads(args.annotations.read_text())
    kept = sorted(content["images"], key=lambda image: image["id"])[: args.count]
    ids = {image["id"] for image in kept}
    found = [label for label in content["annotations"] if label["image_id"] in ids]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps(dict(content, images=kept, annotations=found)))


if __name__ == "__main__":
    main()
