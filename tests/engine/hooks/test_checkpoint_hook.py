from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from phased_runner import build_runner

from derain_plugin.engine.hooks import CrashSafeCheckpointHook


def train(work_dir, *, epochs=4, resume=False, kind="CrashSafeCheckpointHook", **options):
    """Train; the scores get worse and better again."""
    hook = dict(type=kind, save_best="acc", rule="greater", **{"interval": 1, **options})
    scores = [0.1, 0.3, 0.2, 0.4, 0.3, 0.2][:epochs]
    phases = [dict(name="all", epochs=(1, epochs), lr={"*": 1e-3})]
    runner = build_runner(
        work_dir,
        batches=1,
        epochs=epochs,
        scores=scores,
        phases=phases,
        default_hooks=dict(checkpoint=hook),
        resume=resume,
    )
    runner.train()
    ours = [type(hook) for hook in runner.hooks].count(CrashSafeCheckpointHook)
    assert ours == (kind == "CrashSafeCheckpointHook")
    return sorted(path.name for path in work_dir.glob("*.pth"))


def epochs_and_best(*epochs, best=4):
    return [f"best_acc_epoch_{best}.pth", *(f"epoch_{epoch}.pth" for epoch in epochs)]


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        (dict(max_keep_ckpts=1), [4]),
        (dict(max_keep_ckpts=3), [2, 3, 4]),
        ({}, [1, 2, 3, 4]),
        (dict(interval=3, max_keep_ckpts=1), [4]),  # save_last
        (dict(interval=2, max_keep_ckpts=2), [2, 4]),
    ],
)
def test_keeps_as_many_as_mmengine_does(tmp_path, options, epochs):
    assert train(tmp_path / "ours", **options) == epochs_and_best(*epochs)
    theirs = train(tmp_path / "theirs", kind="CheckpointHook", **options)
    assert theirs == epochs_and_best(*epochs)


def test_fewer_are_kept_after_a_resume(tmp_path):
    train(tmp_path, max_keep_ckpts=3)
    assert train(tmp_path, epochs=6, resume=True, max_keep_ckpts=2) == epochs_and_best(5, 6)
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "epoch_6.pth")


def test_folders_are_removed_too(tmp_path, monkeypatch):
    """DeepSpeed writes them."""

    def save_folder(self, out_dir, filename, *_, **__):
        Path(out_dir, filename).mkdir(exist_ok=True)
        Path(out_dir, filename, "rank_0").touch()

    monkeypatch.setattr(Runner, "save_checkpoint", save_folder)
    assert train(tmp_path, max_keep_ckpts=2) == epochs_and_best(3, 4)


def test_a_copied_run_removes_nothing_of_the_original(tmp_path):
    original, copy = tmp_path / "original", tmp_path / "copy"
    train(original, max_keep_ckpts=2)
    before = {path.name: path.read_bytes() for path in original.glob("*.pth")}
    checkpoint = torch.load(original / "epoch_4.pth", weights_only=False)
    checkpoint["message_hub"]["runtime_info"]["outdated_ckpts"] = ["epoch_3.pth"]
    copy.mkdir()
    torch.save(checkpoint, copy / "epoch_4.pth")
    (copy / "epoch_3.pth").touch()
    (copy / "last_checkpoint").write_text(str(copy / "epoch_4.pth"))
    assert train(copy, epochs=5, resume=True, max_keep_ckpts=2) == ["epoch_4.pth", "epoch_5.pth"]
    assert {path.name: path.read_bytes() for path in original.glob("*.pth")} == before
