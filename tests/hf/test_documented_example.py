"""The documented example of the transformers API runs, line for line."""

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_rtdetr import TINY, transformers_twin
from transformers import RTDetrImageProcessor

PAGE = (Path(__file__).parents[2] / "docs/transformers.md").read_text()


def test_example(tmp_path, monkeypatch):
    """With a local model, on the CPU."""
    monkeypatch.chdir(tmp_path)
    transformers_twin(num_classes=2, **TINY).save_pretrained("local")
    RTDetrImageProcessor(size=dict(height=64, width=96)).save_pretrained("local")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("rainy_image.jpg")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "derain_type=" in block
    )
    for theirs, ours in (("PekingU/rtdetr_r18vd", "local"), ('"cuda"', '"cpu"'), ("0.5", "0.0")):
        assert theirs in code
        code = code.replace(theirs, ours)
    names = {}
    exec(code, names)
    (result,) = names["results"]
    assert result["boxes"].shape == (30, 4)
    assert set(result["labels"].tolist()) <= {0, 1}
    logits = names["model"].rtdetr(names["pixel_values"]).logits
    best = logits[0].sigmoid().flatten().topk(30).values
    torch.testing.assert_close(result["scores"], best)
