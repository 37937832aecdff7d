from functools import partial

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper


@pytest.fixture
def amp_on_cpu(monkeypatch):
    """Let AmpOptimWrapper, which asks for a GPU, run with torch's scaler for CPUs."""
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    scaler = partial(torch.amp.GradScaler, device="cpu")
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", scaler)
