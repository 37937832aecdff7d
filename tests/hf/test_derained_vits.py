"""RF-DETR and LW-DETR of transformers with a de-rain module between ViT and projector."""

import pytest
import torch
from test_derained_deimv2 import assert_fresh_changes_nothing_and_trained_is_kept
from test_feature_derain_rtdetr import assert_same_outputs
from tiny_rtdetr import GROUPED, tiny_twin

from derain_plugin.hf import create_feature_derain

IMAGES = torch.rand(2, 3, 96, 96)


@pytest.fixture(params=GROUPED)
def plain(request, tmp_path):
    """A detector and the folder it is saved in."""
    model = tiny_twin(request.param).eval()
    model.save_pretrained(tmp_path / "plain")
    return model, str(tmp_path / "plain")


@torch.no_grad()
def detect(model, **options):
    return model(IMAGES, **options)


@pytest.mark.parametrize("derain_type", ["multiscale", "lightweight"])
def test_a_fresh_module_changes_nothing_and_a_trained_one_is_kept(plain, derain_type, tmp_path):
    reference, folder = plain
    model = create_feature_derain(folder, derain_type)
    assert_fresh_changes_nothing_and_trained_is_kept(model, reference, IMAGES, tmp_path / "saved")


@pytest.mark.parametrize(("given", "blocks"), [(None, 1), (3, 3)])
@pytest.mark.parametrize("arch", [*GROUPED, "deimv2_s", "deimv2_n"])
def test_a_neck_behind_a_vit_is_narrow(arch, given, blocks, tmp_path):
    tiny_twin(arch).save_pretrained(tmp_path)
    model = create_feature_derain(str(tmp_path), num_residual_blocks=given)
    derain = dict(model.config.derain, in_channels=None)
    options = dict(num_residual_blocks=blocks, reduction=8)
    if arch == "deimv2_n":
        options = dict(num_residual_blocks=given or 2)
    assert derain == dict(type="MultiScaleFeatureDerain", in_channels=None, **options)


def test_padding_is_told_to_the_decoder(plain):
    reference, folder = plain
    mask = torch.ones(2, 96, 96, dtype=torch.long)
    mask[1, 64:] = 0
    model = create_feature_derain(folder)
    masked = detect(model, pixel_mask=mask)
    assert_same_outputs(masked, detect(reference, pixel_mask=mask))
    assert not torch.equal(masked.pred_boxes[1], detect(model).pred_boxes[1])


def test_the_detector_inside_stays_whole(plain):
    reference, folder = plain
    model = create_feature_derain(folder)
    detect(model)
    with pytest.raises(TypeError):
        model(IMAGES, labels=3)
    assert list(model.rtdetr.state_dict()) == list(reference.state_dict())
    assert_same_outputs(detect(model.rtdetr), detect(reference))


def test_in_a_pipeline(plain, tmp_path):
    from PIL import Image
    from transformers import RTDetrImageProcessor, pipeline

    create_feature_derain(plain[1]).save_pretrained(tmp_path / "saved")
    processor = RTDetrImageProcessor(size=dict(height=96, width=96), do_normalize=True)
    processor.save_pretrained(tmp_path / "saved")
    detector = pipeline("object-detection", model=str(tmp_path / "saved"), threshold=0.0)
    found = detector(Image.new("RGB", (100, 50)))
    assert len(found) == 15
    assert {box["label"] for box in found} <= {"LABEL_0", "LABEL_1"}
