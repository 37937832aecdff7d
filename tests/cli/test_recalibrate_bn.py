"""BatchNorm statistics re-estimated on the mix: those alone change, and always alike."""

import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from derain_plugin.cli import recalibrate_bn
from derain_plugin.cli.recalibrate_bn import main, recalibrate, refuse_folded
from derain_plugin.config import load_config
from derain_plugin.engine.safety.checkpoint import load_from_local
from derain_plugin.hf import load_from_hf

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Detector(BaseModel):
    """Dropout and a frozen stage before the layers to measure, batches as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.BatchNorm2d(3, momentum=0.3)
        self.rest = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(3), nn.BatchNorm2d(3))

    def train(self, mode: bool = True) -> "Detector":
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: None = None, mode: str = "loss") -> Tensor:
        assert mode == "tensor"
        return self.rest(self.frozen(inputs))


def batches(count: int = 3) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [dict(inputs=torch.randn(4, 3, 5, 5, generator=generator) + i) for i in range(count)]


def test_statistics_are_the_average_over_the_batches():
    detector = Detector()
    detector.frozen(torch.randn(4, 3, 5, 5) + 9)  # statistics of other images
    assert recalibrate(detector, iter(batches())) == 3
    inputs = [batch["inputs"] for batch in batches()]
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(detector.frozen.running_mean, mean)
    torch.testing.assert_close(detector.frozen.running_var, variance)


def test_other_layers_stay_in_eval_and_momenta_come_back():
    detector, again = Detector(), Detector()
    recalibrate(detector, iter(batches()))
    recalibrate(again, iter(batches()))
    assert torch.equal(detector.rest[1].running_var, again.rest[1].running_var)  # no dropout
    assert (detector.frozen.momentum, detector.rest[1].momentum) == (0.3, 0.1)
    assert not any(module.training for module in detector.modules())


def test_a_layer_that_is_never_used_is_an_error():
    detector = Detector()
    detector.spare = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="does not reach spare"):
        recalibrate(detector, iter(batches()))


def test_no_layer_at_all_is_an_error():
    detector = Detector()
    detector.frozen, detector.rest = nn.Identity(), nn.Identity()
    with pytest.raises(ValueError, match="Detector has no BatchNorm"):
        recalibrate(detector, iter(batches()))


def folded(variance: float = 1.0, eps: float = 1e-5) -> Detector:
    """With the shift of each folded layer in its bias, as in ``conv(x) + bias``."""
    detector = Detector()
    for norm in (detector.frozen, *detector.rest[1:]):
        norm.eps = eps
        nn.init.constant_(norm.running_var, variance)
        nn.init.normal_(norm.bias)
    return detector


@pytest.mark.parametrize(("variance", "eps"), [(1.0, 1e-5), (1 - 1e-3, 1e-3)])
def test_folded_layers_are_refused(variance, eps):
    with pytest.raises(ValueError, match=r"folded.* in all 3 layers, such as frozen\. .*neck"):
        refuse_folded(folded(variance, eps))


def test_layers_with_statistics_of_their_own_are_not_folded():
    refuse_folded(Detector())  # untrained
    for change in ("running_mean", "running_var"):
        detector = folded()
        getattr(detector.rest[2], change)[1] += 0.1
        refuse_folded(detector)


def test_a_folded_checkpoint_is_refused_by_name(config, settings, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(recalibrate_bn, "_layers", lambda _: dict(only=folded().frozen))
    options = ["--work-dir", str(tmp_path / "work"), "--cfg-options", *settings]
    with pytest.raises(SystemExit, match=f"{re.escape(weights)}: BatchNorm was folded"):
        main([config, weights, "--out", str(tmp_path / "out.pth"), *options])
    assert not (tmp_path / "out.pth").exists()


@pytest.fixture(scope="module")
def recalibrated(config, settings, two_class_weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recalibrated")
    options = ["--work-dir", str(folder / "work"), "--cfg-options", *settings]
    main([config, two_class_weights, "--out", str(folder / "new" / "first.pth"), *options])
    main([config, two_class_weights, "--out", str(folder / "new" / "again.pth"), *options])
    return folder / "new"


def test_running_statistics_change_and_nothing_else(recalibrated, two_class_weights):
    vanilla = load_from_hf(two_class_weights)["state_dict"]
    state = load_from_local(str(recalibrated / "first.pth"))["state_dict"]
    # The photos have two classes: the head's rows for others are not taken over.
    kept = {
        name: ours
        for name in vanilla
        if vanilla[name].shape == state[ours := re.sub("^neck", "neck.neck", name)].shape
    }
    assert len(kept) > 0.9 * len(vanilla)
    changed = {name for name, ours in kept.items() if not torch.equal(vanilla[name], state[ours])}
    assert changed == {name for name in kept if name.endswith(STATISTICS)}
    assert all(value.isfinite().all() for value in state.values())


def test_the_same_command_writes_the_same_weights(recalibrated):
    assert sorted(path.name for path in recalibrated.iterdir()) == ["again.pth", "first.pth"]
    first, again = (load_from_local(str(recalibrated / f"{n}.pth")) for n in ("first", "again"))
    assert first["meta"]["recalibrated_bn"] == 1
    for name, value in first["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name]), name


def test_every_pass_draws_anew(config, settings, two_class_weights, tmp_path, monkeypatch):
    orders = []

    def see(_detector, batches):
        samples = [sample for batch in batches for sample in batch["data_samples"]]
        orders.append([sample.img_id for sample in samples])
        return 1

    monkeypatch.setattr(recalibrate_bn, "recalibrate", see)
    options = ["--work-dir", str(tmp_path), "--epochs", "2", "--cfg-options", *settings]
    main([config, two_class_weights, "--out", str(tmp_path / "out.pth"), *options])
    half = len(orders[0]) // 2
    assert sorted(orders[0][:half]) == sorted(orders[0][half:])
    assert orders[0][:half] != orders[0][half:]


def test_it_fits_the_same_config(recalibrated, config, settings):
    options = dict(setting.split("=") for setting in settings)
    options["classes"] = options["classes"].split(",")
    model = MODELS.build(load_config(config, options).model)
    load_checkpoint(model, str(recalibrated / "first.pth"), strict=True)


def test_weights_of_other_classes_are_refused(config, settings, weights, tmp_path):
    options = ["--out", str(tmp_path / "out.pth"), "--cfg-options", *settings]
    with pytest.raises(SystemExit, match=r"another number of classes.*Give the classes="):
        main([config, weights, *options])


def test_an_existing_file_is_kept(config, weights, tmp_path):
    out = tmp_path / "mine.pth"
    out.write_text("mine")
    with pytest.raises(SystemExit, match=r"mine.pth exists. Remove it"):
        main([config, weights, "--out", str(out)])
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--epochs", "0"], "--epochs must be 1 or more"), (["--launcher", "pytorch"], "one process")],
)
def test_options_that_cannot_be_meant_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        main(["config.py", "vanilla.pth", "--out", "out.pth", *options])
    assert message in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there_is_named(config, settings, tmp_path):
    options = ["--out", str(tmp_path / "out.pth"), "--work-dir", str(tmp_path / "work")]
    with pytest.raises(SystemExit, match=r"nowhere.pth: .*nowhere.pth"):
        main([config, "nowhere.pth", *options, "--cfg-options", *settings])
