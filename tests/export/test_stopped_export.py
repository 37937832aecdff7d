"""An export that is killed, or finds the disk full, leaves nothing half-done under its name.

The files are of a model that is quicker to trace; what becomes of them is the same.
"""

import os
import signal
from functools import partial
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from forked import run_forked, start_forked
from small_disk import fill_disk, mount_small_disk, require_small_disk

from derain_plugin.cli import export as export_cli
from derain_plugin.export import export_detector as module
from derain_plugin.export.verification import Agreement

FILES = {"onnx": ["a.onnx"], "openvino": ["a.bin", "a.xml"]}
MOMENTS = [(kind, name) for kind in FILES for name in ("to_onnx", "compare", "replace 1")]
MOMENTS.append(("openvino", "replace 2"))


def small_model(*_):
    """The graph of a product with a matrix of 400 kB."""
    image, found = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 100 * size])
        for name, size in (("image", 1), ("found", 10))
    )
    weight = onnx.numpy_helper.from_array(np.ones((100, 1000), np.float32), "weight")
    node = onnx.helper.make_node("MatMul", ["image", "weight"], ["found"])
    graph = onnx.helper.make_graph([node], "product", [image], [found], [weight])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


@pytest.fixture
def export(config, checkpoint, monkeypatch):
    """Export by the command line to ``a`` in a folder."""
    monkeypatch.setattr(module, "to_onnx", small_model)
    monkeypatch.setattr(module, "ExportedDetector", lambda _: SimpleNamespace(detect=None))
    agreement = SimpleNamespace(compared=1, matched=1)
    assert set(vars(agreement)) <= set(Agreement.__dataclass_fields__)
    monkeypatch.setattr(module, "compare", lambda *_: agreement)

    def run(folder, *options, kind):
        out = str(folder / FILES[kind][-1])
        export_cli.main([config, checkpoint, "--format", kind, "--out", out, *options])

    return run


def killed(export, name, folder, kind, *options):
    """Run an export in a process that is killed when it comes to a function."""
    process = start_forked(export_and_die, export, name, folder, kind, options)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def export_and_die(export, name, folder, kind, options):
    owner = os if name.startswith("replace") else module
    name, _, number = name.partition(" ")
    calls, real = [], getattr(owner, name)

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == int(number or 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(owner, name, die)
    export(folder, *options, kind=kind)


def content(folder):
    return {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("kind", "moment"), MOMENTS)
def test_a_killed_export_begins_anew(export, tmp_path, kind, moment):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    export(whole, kind=kind)
    expected = content(whole)
    assert sorted(expected) == FILES[kind]
    killed(export, moment, folder, kind)
    killed(export, moment, folder, kind)
    left = content(folder)
    partial_name = f"{FILES[kind][-1]}.partial"
    assert left.pop(partial_name) is False  # a folder
    assert set(left) == ({"a.bin"} if moment == "replace 2" else set())
    assert left.items() <= expected.items()
    export(folder, kind=kind)
    assert content(folder) == expected


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("moment", ["to_onnx", "compare"])
def test_an_earlier_export_outlives_a_killed_one(export, tmp_path, kind, moment):
    for name in FILES[kind]:
        (tmp_path / name).write_text("precious")
    killed(export, moment, tmp_path, kind, "--overwrite")
    assert {(tmp_path / name).read_text() for name in FILES[kind]} == {"precious"}
    with pytest.raises(SystemExit, match="exists: choose another name, or --overwrite"):
        export(tmp_path, kind=kind)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("leave", [0, 100])
def test_a_full_disk_is_told(export, tmp_path, kind, leave):
    require_small_disk()
    run_forked(export_to_full_disk, partial(export, kind=kind), FILES[kind], tmp_path, leave)


def export_to_full_disk(export, names, disk, leave):
    mount_small_disk(disk, 2048)
    for name in names:
        (disk / name).write_text("precious")
    filler = fill_disk(disk, leave=leave)
    with pytest.raises(SystemExit, match=r"error: .*cannot write.*make room in .*/a\.") as caught:
        export(disk, "--overwrite")
    assert str(disk) in str(caught.value)
    assert {path.name for path in disk.iterdir()} == {"filler", *names}
    assert {(disk / name).read_text() for name in names} == {"precious"}
    filler.unlink()
    export(disk, "--overwrite")
    assert all((disk / name).stat().st_size > 1000 for name in names)
