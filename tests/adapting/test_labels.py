"""Photographs with boxes: AP before and after, and the detector's own loss."""

import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from small_detectors import KINDS, frozen, model_of, prepare_for
from test_agreement import Scripted, found

from derain_plugin.adapting.adapt import adapt
from derain_plugin.adapting.base_weights import hash_of
from derain_plugin.adapting.detection_loss import detection_loss
from derain_plugin.adapting.labels import measure_ap, names_of, read_all_labels, read_labels
from derain_plugin.adapting.losses import LossWeights
from derain_plugin.adapting.plan import Length
from derain_plugin.adapting.training import Adaptation
from derain_plugin.adapting.twins import RainyTwins

CLASSES = ["square", "disc"]
BOXES = ((1, 5, 5, 20, 20), (2, 30, 10, 30, 30))  # category, xywh


def named(model, classes=CLASSES):
    if hasattr(model, "data_preprocessor"):
        model.dataset_meta = dict(classes=tuple(classes))
    else:
        config = getattr(model.config, "rtdetr_config", model.config)
        config.id2label = dict(enumerate(classes))
    return model


@pytest.fixture
def coco(photos):
    """A file in the photos' folder; its categories are in another order, and one is unknown."""

    def write(
        categories=("Disc", "square", "tree"), boxes=((1, 5, 5, 20, 20), (2, 30, 10, 30, 30))
    ):
        content = dict(
            images=[
                dict(id=i, file_name=p.name, width=75 + i, height=50) for i, p in enumerate(photos)
            ],
            categories=[dict(id=i, name=name) for i, name in enumerate(categories, 1)],
            annotations=[
                dict(id=10 * i + c, image_id=i, category_id=c, bbox=box, area=1, iscrowd=i == 1)
                for i in range(2)
                for c, *box in boxes
            ],
        )
        path = photos[0].parent / "labels.json"
        path.write_text(json.dumps(content))
        return path

    yield write
    (photos[0].parent / "labels.json").unlink(missing_ok=True)


def test_categories_become_the_detectors_labels_by_name(coco, photos):
    path = coco(boxes=((1, 5, 6, 20, 21), (2, 30, 10, 30, 30), (3, 0, 0, 9, 9)))
    read = read_labels(path, named(model_of("yolox")))
    assert list(read.objects) == photos
    first = read.objects[photos[0]]
    assert first.labels.tolist() == [1, 0]
    assert first.bboxes.tolist() == [[5, 6, 25, 27], [30, 10, 60, 40]]
    assert read.objects[photos[1]].is_crowd.all()
    none = read.objects[photos[2]]
    assert (len(none), none.is_crowd.dtype, none.labels.dtype) == (0, torch.bool, torch.long)
    assert read.warning.endswith("the detector knows no tree; their boxes are left out")


def test_a_file_without_a_known_class_is_refused(coco):
    with pytest.raises(ValueError, match=r"has cat, and the detector knows square, disc: give"):
        read_labels(coco(("cat",), ((1, 0, 0, 9, 9),)), named(model_of("yolox")))
    with pytest.raises(ValueError, match="no dataset_meta with classes"):
        read_labels(coco(), model_of("yolox"))


def test_a_checkpoint_without_names_has_those_of_its_config(coco):
    model = model_of("yolox")
    model.dataset_meta = dict(classes=None)  # as init_detector leaves it for converted weights
    dataset = dict(type="CocoDataset", metainfo=dict(classes=("disc", "square")), pipeline=[])
    model.cfg = ConfigDict(model={}, test_dataloader=dict(dataset=dataset))
    assert names_of(model) == ["disc", "square"]


def test_labels_that_are_left_out_of_a_training_are_named(coco, tmp_path):
    model = named(model_of("yolox"))
    file = coco(boxes=((1, 5, 6, 20, 21), (3, 0, 0, 9, 9)))
    said = []
    adapt(
        model, [file], tmp_path / "out", prepare=prepare_for("yolox"), length=Length(iterations=1),
        batch_size=1, labels=True, say=said.append,
    )  # fmt: skip
    assert f"warning: {file}: the detector knows no tree; their boxes are left out" in said


def test_labels_to_train_with_are_coco_files(photos):
    with pytest.raises(ValueError, match=r"as COCO files, got .*: name the json"):
        read_all_labels([photos[0].parent], named(model_of("yolox")))


class Half(Scripted):
    """Finds the disc at any time, the square with its neck only."""

    def __init__(self):
        self.model = named(model_of("yolox"))

    def detect(self, image):
        kept = 1 if self.is_plain else 2
        return found([[5, 5, 25, 25], [30, 10, 60, 40]][:kept], [0.9, 0.8][:kept], [1, 0][:kept])


def test_ap_with_labels_before_and_after(coco):
    ap = measure_ap(Half(), read_labels(coco(), named(model_of("yolox"))))
    assert ap.num_photos == 6
    # What is found on photos without that object counts against it; a crowd does not.
    assert ap.rows["disc"] == (1, pytest.approx(1.0), pytest.approx(1.0))
    assert ap.rows["square"] == (1, 0.0, pytest.approx(1.0))
    assert ap.rows["AP"] == (2, pytest.approx(0.5), pytest.approx(1.0))
    assert ap.table().splitlines()[2].split() == ["AP", "2", "0.500", "1.000", "+0.500"]
    assert ap.record()["rows"]["AP50"] == dict(boxes=2, before=0.5, after=1.0)


@pytest.mark.parametrize("name", KINDS)
def test_the_detectors_own_loss_reaches_the_neck_alone(name, photos):
    detector = frozen(name)
    named(detector.model)
    before = hash_of(detector.weights())
    labelled = InstanceData(
        bboxes=torch.tensor([[5.0, 5, 25, 25], [30, 10, 60, 40]]),
        labels=torch.tensor([1, 0]),
        is_crowd=torch.tensor([False, True]),
    )
    twins = RainyTwins(
        photos, detector.prepare, num_samples=2, labels=dict.fromkeys(photos, labelled)
    )
    twins.set_run_seed(0)
    batch = pseudo_collate([twins[0], twins[1]])
    losses = Adaptation(detector, LossWeights(detection=0.5))(**batch)
    assert losses["loss_detection"].item() > 0
    losses["loss_detection"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in detector.derain.parameters())
    assert hash_of(detector.weights()) == before
    assert not any(module.training for module in detector.model.modules())


@pytest.mark.parametrize("name", ["rfdetr", "lwdetr"])
def test_the_loss_of_a_detector_with_groups_is_that_of_the_one_that_detects(name):
    """In eval mode transformers' own loss splits its queries, and matches in each part."""
    detector = frozen(name)
    plain = detector.model.rtdetr
    images, objects = (
        torch.rand(1, 3, 96, 96),
        InstanceData(
            bboxes=torch.tensor([[10.0, 10, 40, 40]]),
            labels=torch.tensor([1]),
            is_crowd=torch.tensor([False]),
            metainfo=dict(shape=(96, 96)),
        ),
    )
    encoded = detector.encode(detector.extract(images))
    found = detection_loss(detector.model, images, encoded, None, [objects])
    labels = [dict(class_labels=objects.labels, boxes=torch.tensor([[25.0, 25, 30, 30]]) / 96)]
    wrong = plain(images, labels=labels).loss
    assert plain.config.group_detr == 3
    plain.config.group_detr = 1
    torch.testing.assert_close(found, plain(images, labels=labels).loss)
    assert not torch.allclose(found, wrong)


def test_boxes_follow_the_flip_of_their_photo(photos):
    labelled = InstanceData(
        bboxes=torch.tensor([[5.0, 6, 25, 27]]),
        labels=torch.tensor([1]),
        is_crowd=torch.tensor([False]),
    )
    twins = RainyTwins(
        photos[:1], lambda image: image, num_samples=8, labels={photos[0]: labelled}, clean_share=1
    )
    twins.set_run_seed(0)
    plain, flipped = [5.0, 6, 25, 27], [50.0, 6, 70, 27]  # 75 px wide
    seen = {}
    for index in range(8):
        sample = twins[index]
        (box,) = sample["objects"].bboxes.tolist()
        seen.setdefault(tuple(box), sample["clean"][0, 0].tolist())
    assert set(seen) == {tuple(plain), tuple(flipped)}
    assert seen[tuple(plain)] != seen[tuple(flipped)]
    assert sample["objects"].shape == (50, 75)


def test_a_detector_without_train_cfg_cannot_use_labels(coco):
    model = named(model_of("yolox"))
    cfg = dict(type="YOLOXHead", num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1)
    model.bbox_head = MODELS.build(cfg)
    with pytest.raises(ValueError, match="was built without train_cfg"):
        read_all_labels([coco()], model)
