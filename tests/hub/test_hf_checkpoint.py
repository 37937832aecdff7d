import pytest
import torch
from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from tiny_rtdetr import TINY, build, tiny_rtdetr_cfg, transformers_twin
from transformers import RTDetrForObjectDetection, RTDetrV2Config

IMAGES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def twin():
    return transformers_twin(num_classes=2, **TINY).eval()


@pytest.fixture(scope="module", params=[True, False], ids=["frozen norms", "plain norms"])
def hub_folder(request, twin, tmp_path_factory):
    """A ``save_pretrained`` folder; converted hub models have frozen BatchNorm."""
    folder = tmp_path_factory.mktemp("hub")
    config = type(twin.config)(
        **{**twin.config.to_dict(), "freeze_backbone_batch_norms": request.param}
    )
    model = RTDetrForObjectDetection(config)
    model.load_state_dict(twin.state_dict(), strict=False)
    model.save_pretrained(folder)
    return folder


def through_load_checkpoint(source):
    model = build(tiny_rtdetr_cfg())
    load_checkpoint(model, source)
    return model


def through_init_cfg(source):
    model = build(dict(tiny_rtdetr_cfg(), init_cfg=dict(type="Pretrained", checkpoint=source)))
    model.init_weights()
    return model


def through_init_detector(source):
    config = Config(dict(model=tiny_rtdetr_cfg(), test_dataloader=dict(dataset={})))
    return init_detector(config, source, device="cpu", palette="random")


@pytest.mark.parametrize("load", [through_load_checkpoint, through_init_cfg, through_init_detector])
def test_every_entry_point_gives_transformers_outputs(load, hub_folder, twin):
    model = load(f"hf://{hub_folder}").eval()
    with torch.no_grad():
        logits, boxes = model(IMAGES, mode="tensor")
        expected = twin(IMAGES)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=0)


def test_class_names_travel(hub_folder):
    model = through_init_detector(f"hf://{hub_folder}")
    assert model.dataset_meta["classes"] == ("LABEL_0", "LABEL_1")


def test_uncached_id_offline_says_what_to_do():
    with pytest.raises(FileNotFoundError, match=r"nobody/none.*hf download nobody/none"):
        through_load_checkpoint("hf://nobody/none")


def test_missing_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder written by save_pretrained"):
        through_load_checkpoint(f"hf://{tmp_path}/absent")


def test_folder_without_weights_says_so(twin, tmp_path):
    twin.config.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder written by save_pretrained"):
        through_load_checkpoint(f"hf://{tmp_path}")


def test_home_folder_is_expanded(twin, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    twin.save_pretrained(tmp_path / "weights")
    model = through_load_checkpoint("hf://~/weights").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES, mode="tensor")[0], twin(IMAGES).logits)


def test_another_model_type_is_refused(tmp_path):
    RTDetrV2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'rt_detr_v2' model, but needed is 'rt_detr'"):
        through_load_checkpoint(f"hf://{tmp_path}")


def test_weights_that_do_not_fill_the_config_are_refused(twin, tmp_path):
    state = twin.state_dict()
    del state["model.enc_score_head.bias"]
    twin.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"missing \['model.enc_score_head.bias'\]"):
        through_load_checkpoint(f"hf://{tmp_path}")
