"""No command runs code that came with a model, nor takes a broken one for a detector."""

import json
import os
import shutil
from pickle import UnpicklingError

import pytest
import torch

from derain_plugin.apis import DerainInferencer, Detector
from derain_plugin.cli import app, convert_spdnet, export, export_hf, infer, recalibrate_bn
from derain_plugin.cli import test as test_cli
from derain_plugin.cli import train as train_cli
from derain_plugin.engine.safety.checkpoint import load_from_local
from derain_plugin.hf import load_from_hf


class MakesFolder:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


class Commands:
    """Each way to load a checkpoint, by name."""

    def __init__(self, config, settings, image, out):
        self.config, self.out, self.image = config, out, str(image)
        self.options = ["--cfg-options", *settings]

    def train(self, path):
        options = [*self.options, f"load_from={path}"]
        train_cli.main([self.config, "--work-dir", str(self.out), *options])

    def resume(self, path):
        start = [self.config, "--work-dir", str(self.out), "--resume", path]
        train_cli.main([*start, *self.options])

    def test(self, path):
        test_cli.main([self.config, path, "--work-dir", str(self.out), *self.options])

    def infer(self, path):
        where = ["--out-dir", str(self.out), "--device", "cpu"]
        infer.main([self.config, path, self.image, *where, *self.options])

    def export(self, path):
        target = ["--format", "onnx", "--out", str(self.out / "a.onnx")]
        export.main([self.config, path, *target, *self.options])

    def export_hf(self, path):
        export_hf.main([self.config, path, str(self.out / "folder"), *self.options])

    def recalibrate_bn(self, path):
        target = ["--out", str(self.out / "a.pth")]
        recalibrate_bn.main([self.config, path, *target, *self.options])

    def convert_spdnet(self, path):
        convert_spdnet.main([path, str(self.out / "spdnet.pth")])

    def app(self, path):
        pair = [self.config, path]
        arguments = ["--vanilla", *pair, "--derained", *pair, "--device", "cpu"]
        app.comparison_of(app.parse_args(arguments))

    def detector(self, path):
        Detector(self.config, path, device="cpu")

    def inferencer(self, path):
        DerainInferencer(self.config, path, device="cpu")


ALL = [name for name in vars(Commands) if not name.startswith("_")]
DETECTORS = [name for name in ALL if name not in ("resume", "convert_spdnet")]
REFUSED = (ValueError, OSError, SystemExit)


@pytest.fixture
def commands(config, settings, coco_root, tmp_path):
    (tmp_path / "out").mkdir()
    image = next((coco_root / "val2017").iterdir())
    child = tmp_path / "two_classes.py"  # for what takes no options
    child.write_text(f"_base_ = {config!r}\nclasses = ('square', 'disc')\n")
    return Commands(str(child), settings, image, tmp_path / "out")


@pytest.fixture(scope="module")
def good(two_class_weights):
    return load_from_hf(two_class_weights)


@pytest.mark.parametrize(
    "zipped",
    [pytest.param(True, id="zip"), pytest.param(False, id="legacy", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("command", ALL)
def test_a_pickle_that_executes_code_is_refused(commands, command, zipped, tmp_path, good):
    marker, path = tmp_path / "executed", str(tmp_path / "evil.pth")
    content = dict(good, optimizer={}, extra=MakesFolder(marker))
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(REFUSED, match=r"evil\.pth was refused.*mkdir"):
        getattr(commands, command)(path)
    assert not marker.exists()
    assert not list(commands.out.rglob("*.pth"))
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file must be dangerous, or this test proves nothing"


@pytest.mark.parametrize("command", DETECTORS)
def test_pickled_weights_in_a_folder_of_transformers_are_refused(
    commands, command, tmp_path, two_class_weights
):
    marker, folder = tmp_path / "executed", tmp_path / "hub"
    shutil.copytree(two_class_weights.removeprefix("hf://"), folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": MakesFolder(marker)}, folder / "pytorch_model.bin")
    with pytest.raises((*REFUSED, UnpicklingError, RuntimeError)):
        getattr(commands, command)(f"hf://{folder}")
    assert not marker.exists()


def test_code_in_a_folder_of_transformers_is_not_run(commands, tmp_path, two_class_weights):
    marker, folder = tmp_path / "executed", tmp_path / "hub"
    shutil.copytree(two_class_weights.removeprefix("hf://"), folder)
    config = json.loads((folder / "config.json").read_text())
    auto_map = dict(AutoConfig="code.Evil", AutoModelForObjectDetection="code.Evil")
    (folder / "config.json").write_text(json.dumps(dict(config, auto_map=auto_map)))
    (folder / "code.py").write_text(f"import os; os.mkdir({str(marker)!r})")
    commands.detector(f"hf://{folder}")
    assert not marker.exists()


# Export, which reads its checkpoint by ``Detector``, leaves threads after which no fork can train.
@pytest.mark.parametrize("command", ["test", "infer", "app", "detector", "inferencer"])
def test_a_config_that_came_with_a_model_is_not_run(commands, command, tmp_path, good):
    marker, path = tmp_path / "executed", str(tmp_path / "with_config.pth")
    code = f"import os\nos.mkdir({str(marker)!r})\n"
    meta = dict(good["meta"], cfg=code, config=code)
    torch.save(dict(good, meta=meta, message_hub=dict(runtime_info=dict(cfg=code))), path)
    getattr(commands, command)(path)
    assert not marker.exists()


def broken(good):
    state = good["state_dict"]
    name = next(iter(state))
    yield "other model", dict(state_dict={"fc.weight": torch.zeros(3)}), "does not fit"
    yield "nothing", dict(state_dict={}), "does not fit"
    yield "no weights", dict(epoch=3), "does not fit"
    yield "list", [1], "holds a list, not a dict"
    wide = {k: v.new_zeros(7, *v.shape[1:]) if v.dim() > 1 else v for k, v in state.items()}
    yield "other width", dict(state_dict=wide), "does not fit"
    spoilt = dict(state, **{name: torch.full_like(state[name], float("nan"))})
    yield "nan", dict(state_dict=spoilt), "NaN in 1 of its weights"


@pytest.mark.parametrize(
    "kind", ["other model", "nothing", "no weights", "list", "other width", "nan"]
)
@pytest.mark.parametrize(
    "command",
    [
        "train",
        "infer",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("test", "export")),
    ],
)
def test_a_checkpoint_that_is_none_of_this_detector_is_refused(
    commands, command, kind, tmp_path, good
):
    content, message = next((c, m) for k, c, m in broken(good) if k == kind)
    torch.save(content, tmp_path / "bad.pth")
    with pytest.raises(REFUSED, match=message):
        getattr(commands, command)(str(tmp_path / "bad.pth"))
    assert not [path for path in commands.out.rglob("*") if path.suffix in (".pth", ".onnx")]


def test_weights_alone_cannot_be_resumed_from(commands, tmp_path, good):
    torch.save(good, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"lacks meta.epoch, .*Start from them with --cfg"):
        commands.resume(str(tmp_path / "weights.pth"))
    assert load_from_local(str(tmp_path / "weights.pth"))["state_dict"]
