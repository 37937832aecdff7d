from collections.abc import Iterator
from functools import partial

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper

from derain_plugin.engine.safety import install


@pytest.fixture
def amp_on_cpu(monkeypatch):
    """Let AmpOptimWrapper, which asks for a GPU, run with torch's scaler for CPUs."""
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    scaler = partial(torch.amp.GradScaler, device="cpu")
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", scaler)


@pytest.fixture(autouse=True)
def _safe_files() -> Iterator[None]:
    """mmengine 0.10.7 cannot resume by itself on torch >= 2.6."""
    with install():
        yield
