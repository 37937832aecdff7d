import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from coco_folder import conditions_cfg
from mmdet.evaluation import CocoMetric, DumpDetResults
from mmdet.registry import DATASETS, EVALUATOR
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric
from mmengine.fileio import load
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from derain_plugin.evaluation import CleanRainEvaluator

LOAD = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
]
PACK = dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape"))
FLIP = dict(type="RandomFlip", prob=1.0)


def concat_cfg(root: Path, parts: int = 2, *, kind: str = "ConcatDataset") -> dict:
    """The validation images, then the same with every box flipped away (as if rain hid them)."""
    pipelines = [[*LOAD, PACK], *[[*LOAD, FLIP, PACK]] * (parts - 1)]
    return conditions_cfg(root, pipelines, kind=kind)


def evaluator_cfg(root: Path, prefixes: tuple[str, ...] = ("clean", "rainy")) -> dict:
    ann_file = str(root / "annotations/instances_val2017.json")
    metrics = [dict(type="CocoMetric", ann_file=ann_file, metric="bbox") for _ in prefixes]
    return dict(type="CleanRainEvaluator", metrics=metrics, dataset_prefixes=list(prefixes))


class Oracle(BaseModel):
    """Predicts the boxes that its input is annotated with."""

    def forward(self, inputs, data_samples, mode="tensor"):
        for sample in data_samples:
            truth = sample.gt_instances
            sample.pred_instances = InstanceData(
                bboxes=truth.bboxes.tensor,
                labels=truth.labels,
                scores=torch.ones(len(truth)),
            )
        return data_samples


def make_runner(
    root: Path, work_dir: Path, *, batch_size: int = 3, kind: str = "ConcatDataset"
) -> Runner:
    return Runner(
        Oracle(),
        work_dir=str(work_dir),
        test_dataloader=dict(
            dataset=concat_cfg(root, kind=kind),
            batch_size=batch_size,
            sampler=dict(type="DefaultSampler", shuffle=False),
        ),
        test_cfg=dict(type="TestLoop"),
        test_evaluator=evaluator_cfg(root),
        default_scope="mmdet",
        experiment_name=work_dir.name,
    )


KINDS = dict(
    ConcatDataset=([*range(1, 11)] * 2, ["clean"] * 10 + ["rainy"] * 10),
    InterleavedDataset=([i for i in range(1, 11) for _ in range(2)], ["clean", "rainy"] * 10),
)


@pytest.mark.parametrize("kind", KINDS)
def test_runner_test_with_out(coco_root, tmp_path, capsys, kind):
    runner = make_runner(coco_root, tmp_path / "work", kind=kind)
    out = tmp_path / "out.pkl"
    runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=str(out)))
    capsys.readouterr()
    metrics = runner.test()

    assert metrics["clean/coco/bbox_mAP"] == pytest.approx(1.0)
    assert metrics["rainy/coco/bbox_mAP"] < 0.2
    for name in ("bbox_mAP", "bbox_mAP_50"):
        gap = metrics[f"clean/coco/{name}"] - metrics[f"rainy/coco/{name}"]
        assert metrics[f"gap/{name}"] == pytest.approx(gap)
    assert {name for name in metrics if name.startswith("gap/")} == {
        "gap/bbox_mAP",
        "gap/bbox_mAP_50",
    }

    dumped = load(out)
    image_ids, datasets = KINDS[kind]
    assert [sample["img_id"] for sample in dumped] == image_ids
    assert [sample["dataset"] for sample in dumped] == datasets
    assert "gt_instances" not in dumped[0]
    first = [dumped[datasets.index(name)] for name in ("clean", "rainy")]
    clean, rainy = (sample["pred_instances"]["bboxes"] for sample in first)
    assert not torch.equal(clean, rainy)


def test_table_is_printed_once(coco_root, tmp_path, caplog):
    runner = make_runner(coco_root, tmp_path / "work", batch_size=20)
    MMLogger.get_current_instance().addHandler(caplog.handler)
    runner.test()
    (table,) = [r.getMessage() for r in caplog.records if "\ngap" in r.getMessage()]
    header, clean, rainy, gap, measures = table.strip("\n").splitlines()
    assert header.split() == ["AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L"]
    # 160 px images hold no large boxes; each line has its values in the columns of the header.
    assert clean.split() == ["clean", "1.000", "1.000", "1.000", "1.000", "1.000", "-"]
    assert len({len(header), len(clean), len(rainy)}) == 1
    drop = 1 - float(rainy.split()[1])
    assert rainy.startswith("rainy")
    assert float(gap.split()[1]) == pytest.approx(drop, abs=1e-3)
    assert measures == f"bbox_P 1.000   bbox_mPC {1 - drop:.3f}   bbox_rPC {1 - drop:.3f}"


def test_same_values_as_each_dataset_alone(coco_root):
    """Shifts every prediction of one dataset: nothing of it may reach the other's metric."""
    dataset = DATASETS.build(concat_cfg(coco_root))
    together = EVALUATOR.build(evaluator_cfg(coco_root))
    together.dataset_meta = dataset.metainfo
    alone = CocoMetric(ann_file=str(coco_root / "annotations/instances_val2017.json"))
    alone.dataset_meta = dataset.metainfo
    for index in range(20):
        sample = prediction(dataset, index, shift=0 if index < 10 else 4)
        together.process([sample])
        if index >= 10:
            alone.process(None, [sample.to_dict()])
    results, expected = together.evaluate(20), alone.evaluate(10)
    assert {k.removeprefix("rainy/"): v for k, v in results.items() if "rainy" in k} == expected
    assert results["clean/coco/bbox_mAP"] == pytest.approx(1.0)
    assert 0 < results["rainy/coco/bbox_mAP"] < 1
    assert all(metric.results == [] for metric in together.metrics)


def prediction(dataset, index: int, *, shift: float) -> DetDataSample:
    info = dataset.get_data_info(index)
    boxes = torch.tensor([instance["bbox"] for instance in info["instances"]]) + shift
    labels = torch.tensor([instance["bbox_label"] for instance in info["instances"]])
    sample = DetDataSample(
        metainfo=dict(img_id=info["img_id"], ori_shape=(info["height"], info["width"]))
    )
    sample.pred_instances = InstanceData(bboxes=boxes, labels=labels, scores=torch.ones(len(boxes)))
    return sample


def test_gap_is_to_the_mean_of_the_rainy_datasets(coco_root):
    dataset = DATASETS.build(concat_cfg(coco_root, parts=3))
    evaluator = EVALUATOR.build(evaluator_cfg(coco_root, ("clean", "light", "heavy")))
    evaluator.dataset_meta = dataset.metainfo
    shifts = (0, 3, 9)
    evaluator.process([prediction(dataset, i, shift=shifts[i // 10]) for i in range(30)])
    results = evaluator.evaluate(30)
    light, heavy = (results[f"{name}/coco/bbox_mAP"] for name in ("light", "heavy"))
    assert 1 > light > heavy
    assert results["gap/bbox_mAP"] == pytest.approx(1 - (light + heavy) / 2, abs=1e-4)
    assert results["robustness/bbox_P"] == 1
    assert results["robustness/bbox_mPC"] == pytest.approx((light + heavy) / 2, abs=1e-4)
    assert results["robustness/bbox_rPC"] == results["robustness/bbox_mPC"]
    assert evaluator.report["conditions"]["heavy"]["AP"] == heavy
    assert evaluator.report["conditions"]["heavy"]["AP_L"] is None
    assert evaluator.report["gap"]["AP"] == results["gap/bbox_mAP"]


@pytest.mark.parametrize(("rainy", "gap"), [(["rainy"], 1), (["far", "rainy"], 2), ([], None)])
def test_only_the_named_datasets_make_up_the_gap(rainy, gap):
    prefixes = ("clean", "far", "rainy")
    evaluator = CleanRainEvaluator([CollectIds() for _ in prefixes], prefixes, rainy)
    evaluator.dataset_meta = dict(cumulative_sizes=[5, 7, 11])
    evaluator.process([dict(img_id=i) for i in range(11)])
    results = evaluator.evaluate(11)
    assert results.get("gap/mAP") == gap
    assert results.get("robustness/mPC") == (None if gap is None else 5 - gap)
    assert results["far/ids/mAP"] == 2


def test_unknown_rainy_prefix():
    with pytest.raises(ValueError, match=r"among \['rainy'\], got \['clean'\]"):
        CleanRainEvaluator([CollectIds(), CollectIds()], rainy_prefixes=["clean"])


class CollectIds(BaseMetric):
    """Reports which images it was given; its AP is their number."""

    default_prefix = "ids"

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(sample["img_id"] for sample in data_samples)

    def compute_metrics(self, results):
        return dict(order=list(results), mAP=len(results))


META = dict(classes=("square",), cumulative_sizes=[5, 9])


def collect_ids(rank: int = 0, world_size: int = 1, **meta: bool) -> dict:
    evaluator = CleanRainEvaluator([CollectIds(), CollectIds()])
    evaluator.dataset_meta = META | meta
    evaluator.metrics.append(CollectIds())
    rounded_up = [i % 9 for i in range(9 + -9 % world_size)]
    mine = rounded_up[rank::world_size]
    for start in range(0, len(mine), 2):
        evaluator.process([dict(img_id=i) for i in mine[start : start + 2]])
    return evaluator.evaluate(9)


EXPECTED = {
    "clean/ids/order": [0, 1, 2, 3, 4],
    "rainy/ids/order": [5, 6, 7, 8],
    "ids/order": list(range(9)),
    "clean/ids/mAP": 5,
    "rainy/ids/mAP": 4,
    "ids/mAP": 9,
    "gap/mAP": 1,
    "robustness/P": 5,
    "robustness/mPC": 4,
    "robustness/rPC": 0.8,
}


INTERLEAVED = EXPECTED | {"clean/ids/order": [0, 2, 4, 6, 8], "rainy/ids/order": [1, 3, 5, 7]}


def test_one_process():
    assert collect_ids() == EXPECTED
    assert collect_ids(interleaved=True) == INTERLEAVED


def test_no_metric_works_on_samples_of_another_dataset(monkeypatch):
    seen = []
    process = CollectIds.process
    monkeypatch.setattr(CollectIds, "process", lambda *args: (seen.append(args[0]), process(*args)))
    collect_ids()
    assert sorted(map(seen.count, set(seen))) == [4, 5, 9]


def _evaluate_on_rank(rank: int, world_size: int, folder: str) -> None:
    os.chdir(folder)  # mmengine exchanges results through the working directory
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size
    )
    found = collect_ids(rank, world_size), collect_ids(rank, world_size, interleaved=True)
    torch.save(found, f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif("fork" not in mp.get_all_start_methods(), reason="spawning takes half a minute")
def test_two_processes_with_padding(tmp_path):
    """9 samples on 2 ranks: the sampler deals out one of them twice."""
    processes = mp.start_processes(
        _evaluate_on_rank, args=(2, str(tmp_path)), nprocs=2, join=False, start_method="fork"
    )
    assert any(processes.join(timeout=30) for _ in range(2)), "the ranks wait for each other"
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found == (EXPECTED, INTERLEAVED)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_metrics_and_prefixes_differ_in_number(count):
    with pytest.raises(ValueError, match=rf"got {count} metrics for .*'clean', 'rainy'"):
        CleanRainEvaluator([CollectIds() for _ in range(count)])


@pytest.mark.parametrize(
    "prefixes", [("a", "a"), ("clean", "gap"), ("clean", "robustness"), ("clean", "rain/3")]
)
def test_bad_prefixes(prefixes):
    with pytest.raises(ValueError, match="must be unique, without '/'"):
        CleanRainEvaluator([CollectIds(), CollectIds()], prefixes)


@pytest.mark.parametrize(
    ("meta", "parts"),
    [
        (dict(classes=()), "no"),
        (dict(cumulative_sizes=[1, 2, 3]), "3"),
        ([dict(cumulative_sizes=[1])], "1"),
    ],
)
def test_datasets_and_prefixes_differ_in_number(meta, parts):
    evaluator = CleanRainEvaluator([CollectIds(), CollectIds()])
    with pytest.raises(ValueError, match=f"has {parts} parts"):
        evaluator.dataset_meta = meta


def test_metainfo_that_differs_between_the_datasets():
    evaluator = CleanRainEvaluator([CollectIds(), CollectIds()])
    metas = [dict(META, side="clean"), dict(META, side="rainy")]
    evaluator.dataset_meta = metas
    evaluator.process([dict(img_id=i) for i in range(9)])
    assert evaluator.evaluate(9)["rainy/ids/order"] == [5, 6, 7, 8]
    assert [metric.dataset_meta for metric in evaluator.metrics] == metas
