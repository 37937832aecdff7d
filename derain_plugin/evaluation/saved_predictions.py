"""Predictions that ``tools/test.py --out`` saved."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.evaluation import DumpDetResults
from torch._utils import _rebuild_tensor_v2  # the name that pickles of tensors hold

ONLY_CONDITION = "test"


@dataclass(frozen=True)
class SavedPredictions:
    """Detections of one model on the images of one test condition.

    Attributes:
        source: File and condition, for messages.
        image_ids: ``(I,)``, ascending, none twice.
        counts: ``(I,)``, how many detections each image has.
        boxes: ``(D, 4)``, x1, y1, x2, y2 in pixels of the original image; those of the first
            image come first.
        scores: ``(D,)``, in the precision of the model.
        labels: ``(D,)``, indices of classes.
        classes: Names by label; None in files that do not say.
    """

    source: str
    image_ids: np.ndarray
    counts: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] | None = None

    def split(self, size: int) -> Iterator[SavedPredictions]:
        """Cut into pieces of ``size`` images, and one of what remains."""
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        for start in range(0, len(self.image_ids), size):
            images = slice(start, start + size)
            first, last = ends[start], ends[min(start + size, len(self.counts))]
            yield SavedPredictions(
                self.source,
                self.image_ids[images],
                self.counts[images],
                self.boxes[first:last],
                self.scores[first:last],
                self.labels[first:last],
                self.classes,
            )


class DumpNamedResults(DumpDetResults):
    """Save predictions as mmdet does, each image with the names of all ``classes``, by label.

    Args:
        classes: Those of the test; None where it has none.
        **options: As mmdet's ``DumpDetResults`` takes them.
    """

    def __init__(self, classes: Sequence[str] | None, **options: Any) -> None:
        super().__init__(**options)
        self.classes = classes and tuple(classes)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of a batch, on the CPU."""
        super().process(data_batch, data_samples)
        for sample in self.results[len(self.results) - len(data_samples) :]:
            sample["classes"] = self.classes  # one tuple, which a pickle holds once


def load_predictions(path: Path) -> dict[str, SavedPredictions]:
    """Load a file that mmdet's ``DumpDetResults`` wrote, without running code from it.

    Args:
        path: A pickle: one dict per image, with ``img_id``, ``pred_instances`` (``bboxes``,
            ``scores``, ``labels``), where ``CleanRainEvaluator`` wrote it, ``dataset``, and where
            ``DumpNamedResults`` did, ``classes``.

    Returns:
        Predictions by test condition, in the order of the file. Without ``dataset`` there is one
        condition, ``test``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or holds something else, or a condition has an image twice.
    """
    by_condition: dict[str, list[Mapping]] = {}
    samples = _unpickle(path)
    if not isinstance(samples, list) or not samples:
        raise _unsuited(path, "it should hold a list with a dict for each image")
    for sample in samples:
        _check(sample, path)
        by_condition.setdefault(sample.get("dataset", ONLY_CONDITION), []).append(sample)
    return {name: _pack(part, f"{path} ({name})") for name, part in by_condition.items()}


def _unpickle(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; tools/test.py --out {path} writes it")
    try:
        with path.open("rb") as file:
            return DataUnpickler(file).load()
    except Exception as error:  # a damaged pickle raises a dozen types
        raise _unsuited(path, str(error) or type(error).__name__) from error


def _unsuited(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} does not hold predictions as tools/test.py --out saves them: {reason}"
    )


def _check(sample: Any, path: Path) -> None:
    try:
        image_id, found = sample["img_id"], sample["pred_instances"]
        shapes = [tuple(found[key].shape) for key in ("bboxes", "scores", "labels")]
    except (TypeError, KeyError, AttributeError) as error:
        raise _unsuited(path, f"an image has no tensor or no entry {error}") from error
    if not isinstance(image_id, int):
        raise _unsuited(path, f"img_id should be a whole number, got {image_id!r}")
    count = next(iter(shapes[0]), None)
    if shapes != [(count, 4), (count,), (count,)]:
        raise _unsuited(path, f"bboxes, scores and labels of image {image_id} have shapes {shapes}")


def _pack(samples: Sequence[Mapping], source: str) -> SavedPredictions:
    samples = sorted(samples, key=lambda sample: sample["img_id"])
    image_ids = np.array([sample["img_id"] for sample in samples])
    repeated = image_ids[1:][image_ids[1:] == image_ids[:-1]]
    if len(repeated):
        raise ValueError(f"{source}: image {repeated[0]} was predicted more than once")
    instances = [sample["pred_instances"] for sample in samples]
    return SavedPredictions(
        source=source,
        image_ids=image_ids,
        counts=np.array([len(found["scores"]) for found in instances]),
        boxes=_joined([found["bboxes"] for found in instances]),
        scores=_joined([found["scores"] for found in instances]),
        labels=_joined([found["labels"] for found in instances]),
        classes=_classes(samples, source),
    )


def _classes(samples: Sequence[Mapping], source: str) -> tuple[str, ...] | None:
    found = [sample.get("classes") for sample in samples]
    if any(names != found[0] for names in found):
        raise ValueError(f"{source}: its images name different classes")
    return None if found[0] is None else tuple(map(str, found[0]))


def _joined(tensors: Sequence[torch.Tensor]) -> np.ndarray:
    joined = torch.cat(list(tensors))
    # NumPy has no bfloat16.
    return (joined.float() if joined.dtype == torch.bfloat16 else joined).numpy()


class DataUnpickler(pickle.Unpickler):
    """Read tensors, numbers, texts and containers; refuse whatever else a pickle may call.

    Tensors are rebuilt by functions of this module, their storages by ``torch.load`` with
    ``weights_only=True``. NumPy objects, which mmdet keeps in the metainfo of images, become an
    empty :class:`Unread`: restoring an array runs no code, but trusts the pickle with memory.

    Example:
        >>> DataUnpickler(io.BytesIO(pickle.dumps({"scores": torch.ones(1)}))).load()
        {'scores': tensor([1.])}
    """

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return what stands in for a global that the pickle names.

        Raises:
            pickle.UnpicklingError: The global is not on the list.
        """
        name = f"{module_name}.{global_name}"
        if name.startswith("numpy."):
            return Unread
        if name not in _STAND_INS:
            raise pickle.UnpicklingError(f"it would call {name}")
        return _STAND_INS[name]


class Unread:
    """Stands in for an object that nobody needs."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Restore nothing."""


def _storage(content: bytes) -> torch.TypedStorage:
    storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.TypedStorage):
        raise pickle.UnpicklingError(f"a {type(storage).__name__} stands where a storage should")
    return storage


def _tensor(
    storage: torch.TypedStorage,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    *unneeded: object,
) -> torch.Tensor:
    """Rebuild a tensor without its gradient hooks."""
    return _rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())


def _encode(text: str, encoding: str) -> bytes:
    """How protocol 2, which has no bytes, writes them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it would encode a text as {encoding}")
    return text.encode("latin1")


_STAND_INS: dict[str, Any] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": _storage,
    "torch.Size": tuple,
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
}
