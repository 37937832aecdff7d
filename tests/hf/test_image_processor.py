"""Preparing images as a ``preprocessor_config.json`` says, whichever processor it names."""

import json

import numpy as np
import pytest

from derain_plugin.hf.image_processor import load_processor, processor_statistics


@pytest.mark.parametrize(
    ("kind", "settings", "mean"),
    [
        ("RfDetrImageProcessor", {}, 0.485),
        ("DetrImageProcessorFast", dict(image_mean=[0.5] * 3), 0.5),
        ("DeformableDetrImageProcessor", dict(do_normalize=False), 0),
        ("RTDetrImageProcessor", {}, 0),
        ("RTDetrImageProcessor", dict(do_normalize=True, image_mean=[0.5] * 3), 0.5),
    ],
)
def test_normalised_as_that_processor_does_unless_told(kind, settings, mean, tmp_path):
    size = dict(height=32, width=64)
    written = dict(image_processor_type=kind, size=size, image_std=[0.25] * 3, **settings)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
    processor = load_processor(str(tmp_path))
    image = np.full((10, 10, 3), 255, np.uint8)
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 32, 64)
    expected = (1 - mean) / 0.25 if mean else 1
    assert pixels[0, 0, 0, 0].item() == pytest.approx(expected, abs=1e-5)
    found = processor_statistics(processor.to_dict())
    assert found == processor_statistics(written)
    assert found["mean"][0] == pytest.approx(255 * mean)


def test_a_folder_without_settings_says_so(tmp_path):
    with pytest.raises(OSError, match="preprocessor_config"):
        load_processor(str(tmp_path))
