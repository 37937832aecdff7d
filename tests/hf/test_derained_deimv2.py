"""DEIMv2 of transformers with a de-rain module: each encoder and backbone, and a pipeline."""

import pytest
import torch
from test_feature_derain_rtdetr import IMAGES, LABELS, assert_same_outputs, moved
from tiny_rtdetr import tiny_twin

from derain_plugin.hf import FeatureDerainRTDetr, create_feature_derain_rtdetr


def assert_fresh_changes_nothing_and_trained_is_kept(model, reference, images, folder):
    """Compare a detector and the same behind a fresh module, which is then moved and saved."""

    @torch.no_grad()
    def detect(detector):
        return detector(images)

    assert_same_outputs(detect(model), detect(reference))
    torch.manual_seed(7)
    loss = model.train()(images, labels=LABELS).loss
    torch.manual_seed(7)
    assert torch.equal(loss, reference.train()(images, labels=LABELS).loss)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.derain_module.parameters())
    moved(model).eval().save_pretrained(folder)
    loaded = FeatureDerainRTDetr.from_pretrained(folder)
    assert_same_outputs(detect(loaded), detect(model))
    assert not torch.equal(detect(model).logits, detect(reference.eval()).logits)


@pytest.mark.parametrize("arch", ["deimv2_n", "deimv2_atto", "deimv2_x"])
def test_deimv2_with_each_encoder_and_backbone(arch, tmp_path):
    reference = tiny_twin(arch).eval()
    reference.save_pretrained(tmp_path / "plain")
    model = create_feature_derain_rtdetr(str(tmp_path / "plain"))
    assert_fresh_changes_nothing_and_trained_is_kept(model, reference, IMAGES, tmp_path / "saved")


def test_deimv2_in_a_pipeline(tmp_path):
    from PIL import Image
    from transformers import RTDetrImageProcessor, pipeline

    tiny_twin("deimv2_s").save_pretrained(tmp_path / "plain")
    create_feature_derain_rtdetr(str(tmp_path / "plain")).save_pretrained(tmp_path / "saved")
    RTDetrImageProcessor(size=dict(height=64, width=96)).save_pretrained(tmp_path / "saved")
    detector = pipeline("object-detection", model=str(tmp_path / "saved"), threshold=0.0)
    found = detector(Image.new("RGB", (100, 50)))
    assert len(found) == 30
    assert {box["label"] for box in found} <= {"LABEL_0", "LABEL_1"}
