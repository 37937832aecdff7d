from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner import save_checkpoint

from derain_plugin.engine.safety.install import WholeFileBackend

pytestmark = pytest.mark.usefixtures("installed")


def test_is_the_backend_for_local_paths(tmp_path):
    assert type(get_file_backend(str(tmp_path))) is WholeFileBackend
    assert type(get_file_backend(backend_args=dict(backend="local"))) is WholeFileBackend


def test_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    def write_half(self, content):
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    path = tmp_path / "new_folder/epoch_1.pth"
    save_checkpoint(dict(value=1), str(path))
    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(dict(value=2), str(path))
    assert torch.load(path) == dict(value=1)
    monkeypatch.undo()
    save_checkpoint(dict(value=2), str(path))
    assert torch.load(path) == dict(value=2)
    assert list(path.parent.iterdir()) == [path]
