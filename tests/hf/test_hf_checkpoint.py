import itertools

import pytest
import torch
from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint
from tiny_rtdetr import FAMILY, GROUPED, TINY_OF, build, tiny_rtdetr_cfg, tiny_twin
from transformers import DetrConfig

from derain_plugin.datasets.labels.classes import CATEGORY_IDS, COCO_NAMES

pytestmark = pytest.mark.usefixtures("installed")

IMAGES = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def arch(request):
    return getattr(request, "param", "r18")


@pytest.fixture(scope="module")
def reference(arch):
    return tiny_twin(arch).eval()


@pytest.fixture(scope="module", params=[True, False], ids=["frozen norms", "plain norms"])
def hub_folder(request, reference, tmp_path_factory):
    """A ``save_pretrained`` folder; converted hub models have frozen BatchNorm."""
    folder = tmp_path_factory.mktemp("hub")
    config = type(reference.config)(
        **{**reference.config.to_dict(), "freeze_backbone_batch_norms": request.param}
    )
    model = type(reference)(config)
    model.load_state_dict(reference.state_dict(), strict=False)
    model.save_pretrained(folder)
    return folder


def through_load_checkpoint(source, arch="r18"):
    model = build(tiny_rtdetr_cfg(arch=arch))
    load_checkpoint(model, source)
    return model


def through_init_cfg(source, arch):
    model = build(
        dict(tiny_rtdetr_cfg(arch=arch), init_cfg=dict(type="Pretrained", checkpoint=source))
    )
    model.init_weights()
    return model


def through_init_detector(source, arch="r18"):
    config = Config(dict(model=tiny_rtdetr_cfg(arch=arch), test_dataloader=dict(dataset={})))
    return init_detector(config, source, device="cpu", palette="random")


@pytest.mark.parametrize("load", [through_load_checkpoint, through_init_cfg, through_init_detector])
@pytest.mark.parametrize("arch", [*TINY_OF, *GROUPED], indirect=True)
def test_every_entry_point_gives_transformers_outputs(load, hub_folder, reference, arch):
    model = load(f"hf://{hub_folder}", arch).eval()
    with torch.no_grad():
        logits, boxes = model(IMAGES, mode="tensor")
        expected = reference(IMAGES)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=0)


def test_class_names_travel(hub_folder):
    model = through_init_detector(f"hf://{hub_folder}")
    assert model.dataset_meta["classes"] == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("matches", [True, False])
def test_pixels_of_another_mean_are_told(matches, tmp_path, caplog):
    from transformers import RTDetrImageProcessor

    tiny_twin("deimv2_s").save_pretrained(tmp_path)
    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    RTDetrImageProcessor(do_normalize=True, **imagenet).save_pretrained(tmp_path)
    cfg = tiny_rtdetr_cfg(arch="deimv2_s")
    if matches:
        pixels = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
        cfg["data_preprocessor"].update(pixels)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        checkpoint = load_checkpoint(build(cfg), f"hf://{tmp_path}")
    finally:
        logger.removeHandler(caplog.handler)
    assert checkpoint["meta"]["pixels"]["mean"] == pytest.approx([123.675, 116.28, 103.53])
    told = [r.getMessage() for r in caplog.records if "trained on pixels" in r.getMessage()]
    assert len(told) == (0 if matches else 1)
    assert matches or "mean=[123.675, 116.28, 103.53]" in told[0]


NAMED = dict.fromkeys(range(91), "N/A") | {id: name for name, id in CATEGORY_IDS.items()}


@pytest.mark.parametrize("id2label", [None, NAMED], ids=["numbered", "named"])
def test_coco_classes_of_a_head_with_a_class_for_each_category_id(id2label, tmp_path):
    twin = tiny_twin("rfdetr_nano", 91).eval()
    twin.config.id2label = id2label or twin.config.id2label
    twin.save_pretrained(tmp_path)
    model = build(tiny_rtdetr_cfg(80, "rfdetr_nano")).eval()
    checkpoint = load_checkpoint(model, f"hf://{tmp_path}")
    assert checkpoint["meta"]["dataset_meta"]["classes"] == COCO_NAMES
    head, theirs = model.bbox_head.detr, twin.state_dict()
    assert torch.equal(head.class_embed.bias[1], theirs["class_embed.bias"][2])  # bicycle
    assert torch.equal(head.class_embed.weight[79], theirs["class_embed.weight"][90])
    rows = list(CATEGORY_IDS.values())
    for ours, layer in zip(
        head.model.enc_out_class_embed, twin.model.enc_out_class_embed, strict=True
    ):
        assert torch.equal(ours.weight, layer.weight[rows])
    whole = build(tiny_rtdetr_cfg(91, "rfdetr_nano")).eval()
    load_checkpoint(whole, f"hf://{tmp_path}")
    with torch.no_grad():
        torch.testing.assert_close(whole(IMAGES, mode="tensor")[0], twin(IMAGES).logits)


def test_other_classes_start_anew(tmp_path, caplog):
    twin = tiny_twin("rfdetr_nano", 91)
    twin.save_pretrained(tmp_path)
    model = build(tiny_rtdetr_cfg(5, "rfdetr_nano"))
    before = model.bbox_head.detr.class_embed.weight.clone()
    load_checkpoint(model, f"hf://{tmp_path}")
    assert torch.equal(model.bbox_head.detr.class_embed.weight, before)
    assert len(model.bbox_head._reinitialised) == 2 + 2 * 3  # the decoder's, and three groups'
    boxes = model.bbox_head.detr.bbox_embed.layers[0].weight
    assert torch.equal(boxes, twin.bbox_embed.layers[0].weight)


def test_uncached_id_offline_says_what_to_do():
    with pytest.raises(FileNotFoundError, match=r"nobody/none.*hf download nobody/none"):
        through_load_checkpoint("hf://nobody/none")


def test_missing_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder written by save_pretrained"):
        through_load_checkpoint(f"hf://{tmp_path}/absent")


def test_folder_without_weights_says_so(reference, tmp_path):
    reference.config.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder written by save_pretrained"):
        through_load_checkpoint(f"hf://{tmp_path}")


def test_home_folder_is_expanded(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    reference.save_pretrained(tmp_path / "weights")
    model = through_load_checkpoint("hf://~/weights").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES, mode="tensor")[0], reference(IMAGES).logits)


def test_another_model_type_is_refused(tmp_path):
    DetrConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'detr' model, but needed is 'rt_detr' or 'rt_detr_v2'"):
        through_load_checkpoint(f"hf://{tmp_path}")


@pytest.mark.parametrize(("theirs", "ours"), list(itertools.permutations(FAMILY, 2)))
def test_another_generation_is_refused(theirs, ours, tmp_path):
    tiny_twin(theirs).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="does not fit this RTDETR"):
        through_load_checkpoint(f"hf://{tmp_path}", ours)


@pytest.mark.parametrize("arch", ["rtdetrv2_r18", "dfine_s", "deimv2_n"], indirect=True)
def test_heads_that_transformers_does_not_use_are_left_out(reference, arch, tmp_path):
    """Their second names, ``class_embed`` and ``bbox_embed``, may hold anything in a checkpoint."""
    state = {name: value.clone() for name, value in reference.state_dict().items()}
    for name in state:
        if name.startswith(("class_embed.", "bbox_embed.")):
            state[name] += 1
    reference.save_pretrained(tmp_path, state_dict=state)
    model = through_load_checkpoint(f"hf://{tmp_path}", arch).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES, mode="tensor")[0], reference(IMAGES).logits)


def test_weights_that_do_not_fill_the_config_are_refused(reference, tmp_path):
    state = reference.state_dict()
    del state["model.enc_score_head.bias"]
    reference.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"missing \['model.enc_score_head.bias'\]"):
        through_load_checkpoint(f"hf://{tmp_path}")
