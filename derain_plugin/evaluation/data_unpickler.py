"""Pickles read as data."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2  # the name that pickles of tensors hold


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
