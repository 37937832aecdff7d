import re

import pytest
import torch

from projects.benchmark.setting import Setting


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(batch_size=0), "batch_size must be at least 1, got 0"),
        (dict(threads=0), "threads must be at least 1, got 0"),
        (dict(size=100), "multiple of 32 px, got 100"),
        (dict(size=0), "multiple of 32 px, got 0"),
        (dict(dtype="fp8"), "fp8"),
        (dict(backend="onnx"), "onnx"),
        (dict(device="tpu"), "must be cpu, cuda or cuda:N, got 'tpu'"),
        (dict(device="cuda:x"), "must be cpu, cuda or cuda:N"),
        (dict(device="cuda:99"), "'cuda:99', but torch"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_refuses_what_cannot_be(bad, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Setting(**bad)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "cpu_fp32_640px_batch1"),
        (dict(threads=3), "cpu_fp32_640px_batch1_threads3"),
        (
            dict(batch_size=2, size=320, dtype="bf16", channels_last=True, backend="compile"),
            "cpu_bf16_320px_batch2_channels_last_compile",
        ),
    ],
)
def test_name_tells_settings_apart(given, name):
    assert Setting(**given).name == name


@pytest.mark.parametrize(("dtype", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(dtype, expected):
    x = torch.ones(2, 2)
    with Setting(dtype=dtype).autocast():
        assert (x @ x).dtype == expected


def test_batches_are_equal():
    first, second = (Setting(size=32, batch_size=2).draw_batch() for _ in range(2))
    assert [p.shape for p in first["inputs"]] == [(3, 32, 32)] * 2
    assert all(map(torch.equal, first["inputs"], second["inputs"]))
    assert first["inputs"][0].dtype == torch.uint8


def test_threads():
    before = torch.get_num_threads()
    try:
        Setting(threads=2).use_threads()
        assert torch.get_num_threads() == 2
        Setting().use_threads()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
