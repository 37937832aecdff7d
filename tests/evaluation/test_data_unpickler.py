import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from derain_plugin.evaluation.saved_predictions import DataUnpickler, Unread


def reload(value, protocol: int = 2):
    return DataUnpickler(io.BytesIO(pickle.dumps(value, protocol=protocol))).load()


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3),
        torch.arange(12).reshape(3, 4)[1:, ::2],
        torch.rand(3, generator=torch.Generator().manual_seed(0)).bfloat16(),
        torch.tensor([True, False]),
        torch.zeros(0, 4),
        torch.ones(2, requires_grad=True),
    ],
    ids=["floats", "strided view", "bfloat16", "bools", "empty", "with gradient"],
)
def test_tensors(tensor, protocol):
    loaded = reload(dict(tensor=tensor), protocol)["tensor"]
    assert loaded.dtype == tensor.dtype
    assert torch.equal(loaded, tensor)


def test_what_a_sample_holds_besides_tensors():
    sample = dict(img_id=3, scale=(1.0, 2.5), name="ä", none=None, size=torch.Size([4, 5]))
    sample["masks"] = [dict(counts=b"\x00\xffab", size=[4, 5]), OrderedDict(a=1)]
    assert reload(sample) == sample


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_arrays_are_not_restored(protocol):
    loaded = reload(dict(matrix=np.eye(3), scalar=np.float32(2), after=1), protocol)
    assert isinstance(loaded["matrix"], Unread)
    assert isinstance(loaded["scalar"], Unread)
    assert loaded["after"] == 1


class Runs:
    """Pickles as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, os.system, eval, getattr, torch.load])
def test_code_is_refused(function, tmp_path):
    marker = tmp_path / "it_ran"
    pickled = pickle.dumps([Runs(os.mkdir, str(marker)), Runs(function, "1")], protocol=2)
    pickle.loads(pickled[: pickled.index(b"R") + 1] + b".")
    assert marker.exists()
    marker.rmdir()
    with pytest.raises(pickle.UnpicklingError, match=r"would call (posix|nt)\.mkdir"):
        DataUnpickler(io.BytesIO(pickled)).load()
    with pytest.raises(pickle.UnpicklingError, match=f"would call .*{function.__name__}"):
        reload(Runs(function, "1"))
    assert not marker.exists()


def test_code_in_a_storage_is_refused(tmp_path):
    """The bytes of a storage are a pickle of their own."""
    marker = tmp_path / "it_ran"
    content = io.BytesIO()
    torch.save(Runs(os.mkdir, str(marker)), content, _use_new_zipfile_serialization=False)
    load_from_bytes = torch.storage._load_from_bytes
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        reload(Runs(load_from_bytes, content.getvalue()))
    assert not marker.exists()


def test_storage_that_is_something_else():
    content = io.BytesIO()
    torch.save({"a": 1}, content)
    with pytest.raises(pickle.UnpicklingError, match="a dict stands where a storage should"):
        reload(Runs(torch.storage._load_from_bytes, content.getvalue()))
