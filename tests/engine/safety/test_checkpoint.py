import functools
import http.server
import os
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint

from derain_plugin.engine.safety import install, load_from_local


@pytest.fixture(scope="module", autouse=True)
def _installed():
    with install():
        yield


class TouchOnUnpickling:
    """Creates ``marker`` when it is unpickled without restrictions."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class ToyDataset(torch.utils.data.Dataset):
    metainfo: ClassVar = dict(classes=("square", "disc"), palette=[(1, 2, 3), (4, 5, 6)])

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int):
        return dict(inputs=torch.full((2,), float(index)))


class ToyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, inputs, mode="tensor"):
        outputs = self.norm(self.linear(torch.stack(inputs)))
        return dict(loss=outputs.square().mean()) if mode == "loss" else [outputs]


class ToyMetric(BaseMetric):
    default_prefix = "toy"

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(acc=np.float64(0.5))


def make_runner(work_dir: Path, *, epochs: int = 1, **kwargs) -> Runner:
    def loader() -> dict:
        sampler = dict(type="DefaultSampler", shuffle=False)
        return dict(dataset=ToyDataset(), batch_size=2, sampler=sampler)

    return Runner(
        ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=loader(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_dataloader=loader(),
        val_cfg={},
        val_evaluator=[ToyMetric()],
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01)),
        param_scheduler=[dict(type="MultiStepLR", milestones=[1])],
        default_hooks=dict(checkpoint=dict(type="CrashSafeCheckpointHook", save_best="toy/acc")),
        custom_hooks=[dict(type="EMAHook")],
        default_scope="mmdet",
        experiment_name=work_dir.name,
        **kwargs,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """The checkpoint of a real Runner after one epoch."""
    work_dir = tmp_path_factory.mktemp("trained")
    make_runner(work_dir).train()
    return work_dir / "epoch_1.pth"


def resave(source: Path, target: Path, **meta) -> Path:
    checkpoint = load_from_local(str(source))
    checkpoint["meta"].update(meta)
    torch.save(checkpoint, target)
    return target


def with_numpy_1_names(source: Path, target: Path) -> Path:
    """Rewrite the pickle as NumPy 1 would have written it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            new.writestr(name, content)
    return target


def test_our_loader_is_the_local_loader_of_mmengine():
    assert CheckpointLoader._get_checkpoint_loader("/a/b.pth") is load_from_local
    assert CheckpointLoader._get_checkpoint_loader("relative.pth") is load_from_local


@pytest.mark.parametrize("names", ["numpy2", "numpy1"])
def test_runner_checkpoint_resumes(saved, tmp_path, names):
    path = saved if names == "numpy2" else with_numpy_1_names(saved, tmp_path / "epoch_1.pth")
    runner = make_runner(tmp_path / names, epochs=2, load_from=str(path), resume=True)
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 4)
    losses = runner.message_hub.get_scalar("train/loss")
    assert isinstance(losses, HistoryBuffer)
    assert len(losses.data[0]) == 4
    assert runner.message_hub.get_info("best_score") == pytest.approx(0.5)


def test_loaded_content_is_what_was_saved(saved):
    ours = load_from_local(str(saved), map_location="cpu")
    theirs = torch.load(saved, weights_only=False)
    assert ours.keys() == theirs.keys()
    assert ours["meta"] == theirs["meta"]
    assert ours["param_schedulers"] == theirs["param_schedulers"]
    assert all(torch.equal(ours["state_dict"][k], v) for k, v in theirs["state_dict"].items())
    assert HistoryBuffer._statistics_methods["mean"] is HistoryBuffer.mean


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_refused(tmp_path, zipped):
    path, marker = tmp_path / "evil.pth", tmp_path / "executed"
    torch.save(
        {"state_dict": {}, "extra": TouchOnUnpickling(marker)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(ValueError, match=r"evil\.pth was refused.*(posix|nt)\.mkdir"):
        load_checkpoint(torch.nn.Linear(1, 1), str(path))
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file must be dangerous, or this test proves nothing"


class PickledAttribute:
    def __init__(self, owner: type, name: str) -> None:
        self.arguments = (owner, name)

    def __reduce__(self):
        return getattr, self.arguments


@pytest.mark.parametrize(("owner", "name"), [(HistoryBuffer, "__init__"), (torch.Tensor, "numpy")])
def test_getattr_reaches_nothing_but_history_statistics(tmp_path, owner, name):
    torch.save({"state_dict": {}, "extra": PickledAttribute(owner, name)}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"refused.*(getattr|torch)"):
        load_from_local(str(tmp_path / "evil.pth"))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth is not a file"):
        load_from_local(str(tmp_path / "nowhere.pth"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-10],
        lambda content: content[:100],
        lambda content: b"<!DOCTYPE html><html>not found</html>",
        lambda content: b'{"state_dict": {}}',
        lambda content: b"hello, this is a text " * 50,
    ],
    ids=["empty", "half", "tail", "head", "html", "json", "text"],
)
def test_damaged_file_is_a_clear_error(saved, tmp_path, damage):
    path = tmp_path / "broken.pth"
    path.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ValueError, match=r"broken\.pth cannot be read .*truncated"):
        load_from_local(str(path))


def test_checkpoint_that_is_no_dict(tmp_path):
    torch.save(torch.zeros(2), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match=r"tensor\.pth holds a Tensor, not a dict"):
        load_from_local(str(tmp_path / "tensor.pth"))


def test_resume_does_not_execute_the_stored_config(saved, tmp_path):
    marker = tmp_path / "executed"
    code = f"import os\nos.mkdir({str(marker)!r})\n"
    path = resave(saved, tmp_path / "evil.pth", config=code, cfg=code)
    runner = make_runner(tmp_path / "resumed", epochs=2, load_from=str(path), resume=True)
    runner.train()
    assert runner.epoch == 2
    assert not marker.exists()


def test_resume_still_compares_the_number_of_gpus(saved, tmp_path):
    path = resave(saved, tmp_path / "two_gpus.pth", config="gpu_ids = [0, 1]\n")
    runner = make_runner(tmp_path / "resumed", epochs=2, load_from=str(path), resume=True)
    with pytest.raises(RuntimeError, match="Number of GPUs"):
        runner.train()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder and the address under which a local web server offers it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_code_behind_an_address_is_refused(served, tmp_path):
    folder, address = served
    marker = tmp_path / "executed"
    torch.save({"state_dict": TouchOnUnpickling(marker)}, folder / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth was refused"):
        CheckpointLoader.load_checkpoint(f"{address}/evil.pth")
    assert not marker.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_checkpoint_behind_an_address_loads(served, saved):
    folder, address = served
    resave(saved, folder / "good.pth", config="__import__('os')")
    checkpoint = CheckpointLoader.load_checkpoint(f"{address}/good.pth")
    assert checkpoint["meta"]["epoch"] == 1
    assert "config" not in checkpoint["meta"]
