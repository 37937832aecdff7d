"""What is written and what runs it; one file, since each trace takes seconds.

The fp16 graph has a fixed batch, the fp32 one takes any: two traces for both.
"""

import copy
import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from mmengine.structures import InstanceData

from derain_plugin import __version__, load_config
from derain_plugin.apis import ExportedDetector
from derain_plugin.apis.exported_model import METADATA_KEY, config_hash, load_exported, resized
from derain_plugin.cli import export as export_cli
from derain_plugin.cli import infer as infer_cli
from derain_plugin.cli import test as test_cli
from derain_plugin.export import export_detector as module
from derain_plugin.export.export_detector import (
    PRECISIONS,
    DisagreementError,
    Export,
    export_detector,
)
from derain_plugin.export.verification import TOLERANCES, compare
from projects.benchmark.families import try_export
from projects.benchmark.inference import measure_inference
from projects.benchmark.neck_share import measure_exported
from projects.benchmark.report import report_text
from projects.benchmark.setting import Setting

pytestmark = pytest.mark.slow
TRACE = module.to_onnx
PAIRS = [(kind, precision) for kind, precisions in PRECISIONS.items() for precision in precisions]


@pytest.fixture(scope="session")
def traced():
    """Trace each kind of graph once; the weights are the same in all tests."""
    models = {}

    def to_onnx(graph, metadata):
        key = graph.dtype, metadata.batch
        if key not in models:
            logging.disable()  # pytest would format every line of torch's trace
            models[key] = TRACE(graph, metadata)
            logging.disable(logging.NOTSET)
        model = copy.deepcopy(models[key])
        onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
        return model

    return to_onnx


@pytest.fixture(autouse=True)
def _trace_once(traced, monkeypatch):
    monkeypatch.setattr(module, "to_onnx", traced)


@pytest.fixture
def write(detector, images, tmp_path):
    def run(kind="onnx", precision="fp32"):
        out = tmp_path / ("a.onnx" if kind == "onnx" else "a.xml")
        is_half = (kind, precision) == ("onnx", "fp16")
        export = Export(kind, precision, batch=1 if is_half else None)
        agreement = export_detector(
            detector, out, export, checkpoint="tiny.pth", images=images,
            calibration=list(images.values()), log=lambda _: None,
        )  # fmt: skip
        return out, agreement

    return run


@pytest.fixture
def _logging_stays_as_it_was():
    logger, handler = logging.getLogger("nncf"), logging.NullHandler()
    before = logger.level
    logger.addHandler(handler)  # as pytest does, with one that all loggers share
    yield
    logger.removeHandler(handler)
    assert (logger.level, handler.level) == (before, logging.NOTSET)


@pytest.mark.usefixtures("_logging_stays_as_it_was")
@pytest.mark.parametrize(("kind", "precision"), PAIRS)
def test_finds_what_the_detector_finds(write, detector, kind, precision):
    out, agreement = write(kind, precision)
    assert agreement.compared >= 40
    if precision in ("fp32", "fp16"):
        assert agreement.matched == agreement.compared
    assert {path.name for path in out.parent.iterdir()} == (
        {"a.onnx"} if kind == "onnx" else {"a.xml", "a.bin"}
    )
    exported = ExportedDetector(out)
    assert exported.classes == detector.classes == ("square", "disc")
    assert exported.palette == detector.palette
    metadata = load_exported(out).metadata
    assert metadata.precision == precision
    assert metadata.input_size == (64, 64)
    assert metadata.derain == "MultiScaleFeatureDerain"
    assert metadata.config_hash == config_hash(detector.cfg)
    assert metadata.plugin_version == __version__


@pytest.mark.parametrize("kind", PRECISIONS)
def test_any_batch(write, detector, images, kind):
    model = load_exported(write(kind)[0])
    sizes = np.array([image.shape[:2] for image in images.values()])
    batch = np.stack([resized(p, (64, 64)).transpose(2, 0, 1) for p in images.values()])
    together = model(batch[:3], sizes[:3])
    assert together[0].shape == (3, 60, 4)
    for index, image in enumerate(list(images.values())[:3]):
        found = (torch.from_numpy(array[index]) for array in together)
        instances = InstanceData(**dict(zip(("bboxes", "scores", "labels"), found, strict=True)))
        agreement = compare(
            detector.detect, lambda _, i=instances: i, {"": image}, TOLERANCES["fp32"]
        )
        assert agreement.matched == agreement.compared >= 10


def test_the_graph_has_standard_operators_alone(write):
    model = onnx.load(write()[0])
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert not model.functions
    assert [entry.domain for entry in model.opset_import] == [""]
    kinds = {node.op_type for node in model.graph.node}
    assert all(onnx.defs.has(kind) for kind in kinds)
    takers = [node.op_type for node in model.graph.node if "images" in node.input]
    assert takers == ["Cast"]  # all that TensorRT does with uint8
    assert "BatchNormalization" not in kinds
    assert {"GridSample", "TopK", "Conv"} <= kinds


def test_what_does_not_depend_on_the_image_is_a_constant(write, detector):
    model = onnx.load(write()[0])
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        assert any(name not in constants for name in node.input if name), node.name
    gates = [block.blend.item() for block in detector.model.neck.derain.blocks]
    scalars = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if not t.dims]
    assert all(any(np.isclose(abs(gate), abs(s)) for s in scalars) for gate in gates)


def test_tells_nothing_of_this_machine(write):
    content = write()[0].read_bytes()
    assert b"site-packages" not in content
    assert str(Path(module.__file__).parent).encode() not in content


@pytest.mark.parametrize("end", [DisagreementError, KeyboardInterrupt])
def test_nothing_bad_or_unfinished_is_left(write, monkeypatch, tmp_path, end):
    (tmp_path / "a.onnx").write_text("precious")

    def compare_badly(*arguments):
        if end is KeyboardInterrupt:
            raise KeyboardInterrupt
        reference, _, *others = arguments
        return compare(reference, lambda image: shifted(reference(image)), *others)

    monkeypatch.setattr(module, "compare", compare_badly)
    with pytest.raises(end) as caught:
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "precious"
    if end is DisagreementError:
        assert "PyTorch has label" in str(caught.value)
        assert "nearest is off by 1 px" in str(caught.value)
        assert caught.value.agreement.matched < caught.value.agreement.compared


def shifted(found):
    found.bboxes = found.bboxes + torch.tensor([1.0, 0, 0, 0])
    return found


def test_both_files_of_openvino_are_replaced(write, tmp_path):
    for name in ("a.xml", "a.bin"):
        (tmp_path / name).write_text("old")
    out, _ = write("openvino")
    assert ExportedDetector(out).classes
    assert b"old" not in (tmp_path / "a.bin").read_bytes()[:3]


def test_from_the_command_line_to_drawings_and_ap(
    config, checkpoint, detector, coco_root, tmp_path, capsys
):
    out, val = tmp_path / "new/tiny.xml", coco_root / "val2017"
    options = ["--format", "openvino", "--batch", "dynamic", "--out", str(out)]
    export_cli.main([config, checkpoint, *options])
    assert "detections agree; largest difference" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"tiny.xml exists: .* --overwrite"):
        export_cli.main([config, checkpoint, *options])

    photo = sorted(val.iterdir())[0]
    drawn = {}
    for name, model in (("file", [str(out)]), ("torch", [config, checkpoint])):
        found = tmp_path / name / "found.json"
        ending = ["--out-dir", str(found.parent), "--json", str(found), "--score-thr", "0.3"]
        infer_cli.main([*model, str(photo), *ending, "--device", "cpu"])
        drawn[name] = (found.parent / photo.name).read_bytes(), json.loads(found.read_text())
    assert drawn["file"][0] == drawn["torch"][0]
    ours, theirs = (drawn[name][1]["annotations"] for name in ("file", "torch"))
    assert len(ours) >= 3
    assert [a["category_id"] for a in ours] == [a["category_id"] for a in theirs]
    np.testing.assert_allclose(
        [a["bbox"] for a in ours], [a["bbox"] for a in theirs], rtol=0, atol=0.03
    )
    assert drawn["file"][1]["info"]["checkpoint"] is None

    work_dir = ["--work-dir", str(tmp_path / "work")]
    few = ["--conditions", str(Path(export_cli.__file__).parents[2] / "configs/conditions")]
    few[-1] += "/rainy_copy.py"
    rainy = ["--cfg-options", f"rainy_root={coco_root}", "test_dataloader.num_workers=0"]
    ours, theirs = (
        test_cli.main([config, str(file), *work_dir, *few, *rainy]) for file in (out, checkpoint)
    )
    assert ours.keys() == theirs.keys()
    assert ours["clean/coco/bbox_mAP"] == pytest.approx(theirs["clean/coco/bbox_mAP"], abs=2e-3)


def test_rows_of_a_benchmark(write, config, tmp_path):
    out, _ = write("openvino")
    told = []
    rows = measure_inference(
        [config, out], Setting(size=64), rounds=3, seconds=60, with_transformers=True,
        tell=told.append,
    )  # fmt: skip
    twin, ours, exported = rows
    assert twin["config"] == "transformers RTDetrForObjectDetection"
    assert twin["against_transformers"] == 1
    assert ours["parameters"] > twin["parameters"]
    assert exported["config"].startswith("a.xml (OpenVINO 20")
    assert exported["derain"] == "MultiScaleFeatureDerain"
    assert exported["against_transformers"] > ours["against_transformers"]
    setting = dict(device="cpu", dtype="fp32", size=64, batch_size=1, channels_last=False)
    report = dict(inference=rows, setting=dict(setting, backend="eager"), arguments="")
    text = report_text(report | dict.fromkeys(("date", "commit", "hardware", "versions"), ""))
    assert "| faster than transformers |" in text
    assert "faster than SPDNet |" not in text
    with pytest.raises(ValueError, match=r"batches of any size and 64 x 64 px, but .* --size 96"):
        measure_inference([out], Setting(size=96), rounds=3, seconds=1)
    with pytest.raises(ValueError, match="transformers' model needs a config"):
        measure_inference([out], Setting(size=64), rounds=3, seconds=1, with_transformers=True)


def test_the_share_of_a_neck_in_a_file(detector, tmp_path):
    neck, setting = detector.model.neck, Setting(size=64)
    export, file = Export("onnx", "fp32"), tmp_path / "a.onnx"
    agreement = try_export(detector, file, export)
    assert agreement["matched"] == agreement["compared"] > 0
    found = measure_exported(detector, file, export, setting, rounds=3, seconds=60)
    kinds = [load_exported(each).metadata.derain for each in (file, tmp_path / "without_neck.onnx")]
    assert kinds == [type(neck.derain).__name__, None]
    assert found["rounds"] == 3
    low, high = found["share_interval"]
    assert low <= found["share"] <= high
    assert detector.model.neck is neck


def test_a_test_needs_the_files_own_config(write, config, tmp_path):
    out, _ = write()
    for option, message in (
        ("classes=a,b,c", "a.onnx has the classes .square, disc., the config .a, b, c."),
        ("image_size=96", "a.onnx takes images of 64 x 64 px .* the config resizes to 96"),
    ):
        with pytest.raises(SystemExit, match=message):
            test_cli.main([config, str(out), "--cfg-options", option])


def test_keeping_the_ratio_is_refused(config, checkpoint, images, tmp_path):
    cfg = load_config(config)
    for dataset in cfg.test_dataloader.dataset.datasets:
        for step in dataset.pipeline:
            if step["type"] == "Resize":
                step["keep_ratio"] = True
    cfg.dump(tmp_path / "ratio.py")
    detector = module.Detector(str(tmp_path / "ratio.py"), checkpoint, device="cpu")
    with pytest.raises(ValueError, match="nothing but resize every image to one size"):
        export_detector(detector, tmp_path / "a.onnx", Export("onnx"), checkpoint="", images=images)
    assert not (tmp_path / "a.onnx.partial").exists()
