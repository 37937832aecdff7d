"""Whatever the bytes, our readers return something sound or refuse it; nothing else may happen.

The suite tries each target with a few hundred inputs. For longer, with coverage as the guide::

    pip install atheris
    python tests/bad_input/fuzz_targets.py TARGET -max_total_time=60
"""

import ast
import json
import math
import os
import sys
import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # coverage of what is imported below guides the fuzzer
    import atheris

    atheris.instrument_imports(include=["derain_plugin", "PIL"]).__enter__()

from derain_plugin.app.images import read_uploaded_image
from derain_plugin.datasets.annotations import read_annotations
from derain_plugin.datasets.checks.image_check import damaged_images
from derain_plugin.datasets.labels import read_voc, read_yolo
from derain_plugin.engine.hooks.phase import parse_phases
from derain_plugin.engine.safety.stored_config import is_plain_data
from derain_plugin.rain.images import UnreadableError, read_image

FOLDER = tempfile.TemporaryDirectory(prefix="fuzz_")


def written(content: bytes, name: str) -> Path:
    path = Path(FOLDER.name, f"{os.getpid()}_{name}")
    path.write_bytes(content)
    return path


def is_image(image: np.ndarray) -> None:
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.size


def uploads(content: bytes) -> None:
    is_image(read_uploaded_image(written(content, "a.png"), max_megapixels=1))


def rainy_copies(content: bytes) -> None:
    is_image(read_image(written(content, "a.jpg")))


def image_check(content: bytes) -> None:
    path = written(content, "b.jpg")
    image = dict(file_name=path.name, width=8, height=8)
    assert len(damaged_images(str(path.parent), [image])) <= 1


def annotations(content: bytes) -> None:
    path = str(written(content, "a.json"))
    read = read_annotations(path)
    assert all(type(annotation["image_id"]) is int for annotation in read["annotations"])


def yolo(content: bytes) -> None:
    for box in read_yolo(
        written(content, "a.txt"), 640, 480, names={0: "car", 1: "bus"}, layout="segment"
    ):
        assert all(map(math.isfinite, box.corners))


def voc(content: bytes) -> None:
    for box in read_voc(written(content, "a.xml"), 640, 480):
        assert all(map(math.isfinite, box.corners))


def phases(content: bytes) -> None:
    parsed = parse_phases(json.loads(content))
    assert parsed[0].first_epoch == 1
    for one, following in pairwise(parsed):
        assert following.first_epoch == one.last_epoch + 1


def stored_configs(content: bytes) -> None:
    """What counts as data holds no call but ``dict``, and no name that is looked up."""
    text = content.decode("utf-8", "replace")
    if is_plain_data(text):
        called = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        assert all(getattr(func, "id", "") == "dict" for func in called)


TARGETS = {
    function.__name__: function
    for function in (
        uploads,
        rainy_copies,
        image_check,
        annotations,
        yolo,
        voc,
        phases,
        stored_configs,
    )
}
REFUSALS = (ValueError, FileNotFoundError, UnreadableError)


def attempt(name: str, content: bytes) -> None:
    """Let a target read bytes; anything but a refusal is an error."""
    with suppress(REFUSALS):
        TARGETS[name](content)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(TARGETS)}}} [options of libFuzzer]")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda content: attempt(name, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
