import hashlib
import json
import re

import pytest
import torch
from mmengine.fileio import dump, load

from derain_plugin.cli.compare_results import main, parse_args

BOXES = torch.tensor([[10.0, 10, 60, 60], [70, 20, 120, 90]])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files of predictions, and ground truth that b finds better than a."""
    monkeypatch.chdir(tmp_path)
    images = [dict(id=i, file_name=f"{i}.jpg", height=100, width=130) for i in range(8)]
    annotations = [
        dict(id=2 * i + k + 1, image_id=i, category_id=1, bbox=box, area=50, iscrowd=0)
        for i in range(8)
        for k, box in enumerate([[10, 10, 50, 50], [70, 20, 50, 70]])
    ]
    content = dict(
        images=images, annotations=annotations, categories=[dict(id=1, name="traffic light")]
    )
    (tmp_path / "ann.json").write_text(json.dumps(content))
    for name, shift in dict(a=6, b=2, c=3).items():
        samples = [
            dict(
                img_id=i,
                dataset=condition,
                pred_instances=dict(
                    bboxes=BOXES + shift * (1 + i % 3) / 2 + 2 * (condition == "rainy"),
                    scores=torch.tensor([0.9, 0.5]) - i / 100,
                    labels=torch.zeros(2, dtype=torch.long),
                ),
            )
            for condition in ("clean", "rainy")
            for i in range(8)
        ]
        dump(samples, tmp_path / f"{name}.pkl")
    return tmp_path


FEW = ["--annotations", "ann.json", "--resamples", "20", "--workers", "1"]


def test_predictions_that_name_their_classes(files):
    """Labels of a test that had another order, or more classes, than the annotation file."""
    plain = main(["a.pkl", "b.pkl", *FEW]).rows[0]
    expected = pytest.approx((plain.baseline, plain.value))
    content = json.loads((files / "ann.json").read_text())
    content["categories"].append(dict(id=2, name="car"))
    (files / "ann.json").write_text(json.dumps(content))
    for name in "ab":
        samples = load(files / f"{name}.pkl")
        for sample in samples:
            sample["classes"] = ("car", "traffic light")
            sample["pred_instances"]["labels"] += 1
        dump(samples, files / f"{name}.pkl")
    row = main(["a.pkl", "b.pkl", *FEW]).rows[0]
    assert (row.baseline, row.value) == expected
    with pytest.raises(SystemExit, match=r"a.pkl .* tested .* \(car, traffic light\), not \(car\)"):
        main(["a.pkl", "b.pkl", *FEW, "--classes", "car"])


def test_table(files, capsys):
    comparison = main(["a.pkl", "ours=b.pkl,c.pkl", *FEW])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "AP of ours against a, 20 resamples"
    assert re.split(r" {2,}", lines[1]) == ["condition", "a", "ours", "difference", "95 % interval"]
    assert [line.split()[0] for line in lines[2:]] == ["clean", "rainy", "P", "mPC", "rPC"]
    row = comparison.rows[0]
    numbers = [float(x) for x in re.findall(r"[-+.\d]+", lines[2])]
    shown = [row.baseline, row.value, row.difference, row.low, row.high]
    assert numbers == pytest.approx(shown, abs=6e-5)
    assert lines[2].endswith("]  *")
    assert len({len(line.removesuffix("  *")) for line in lines[1:]}) == 1


def test_every_model_has_its_table(files, capsys):
    main(["a.pkl", "b.pkl", "c.pkl", "--metric", "AP75", *FEW])
    out = capsys.readouterr().out
    assert "AP75 of b against a" in out
    assert "AP75 of c against a" in out


def test_json(files):
    out = files / "new/folder/comparison.json"
    comparison = main(["a.pkl", "ours=b.pkl,c.pkl", "--out", str(out), "--seed", "3", *FEW])
    record = json.loads(out.read_text())
    assert len(record["rows"]) == 5
    first, row = record["rows"][0], comparison.rows[0]
    assert first["excludes_zero"] is True
    assert (first["low"], first["high"]) == (row.low, row.high)
    assert record["images"] == record["listed_images"] == dict(clean=8, rainy=8)
    assert record["settings"] == dict(
        models=dict(a=["a.pkl"], ours=["b.pkl", "c.pkl"]), annotations={"*": "ann.json"},
        metric="AP", classes=None, rainy=None, resamples=20, seed=3,
    )  # fmt: skip
    digest = hashlib.sha256((files / "b.pkl").read_bytes()).hexdigest()
    assert record["sha256"]["b.pkl"] == digest
    assert set(record["sha256"]) == {"a.pkl", "b.pkl", "c.pkl", "ann.json"}
    assert {"date", "commit", "hardware", "versions"} <= record.keys()


def test_undefined_values_are_null(files, capsys):
    content = json.loads((files / "ann.json").read_text())
    (files / "ann.json").write_text(json.dumps(dict(content, annotations=[])))
    main(["a.pkl", "b.pkl", "--out", "out.json", *FEW])
    row = json.loads((files / "out.json").read_text())["rows"][0]
    assert row["baseline"] is row["low"] is None
    assert re.search(r"clean +nan +nan +nan +\[nan, nan\]\n", capsys.readouterr().out)


def test_nothing_is_overwritten(files, capsys):
    (files / "out.json").write_text("precious")
    with pytest.raises(SystemExit):
        main(["a.pkl", "b.pkl", "--out", "out.json", *FEW])
    assert "--out out.json exists" in capsys.readouterr().err
    assert (files / "out.json").read_text() == "precious"


def test_images_that_were_not_predicted(files, capsys):
    content = json.loads((files / "ann.json").read_text())
    content["images"].append(dict(id=99, file_name="99.jpg", height=9, width=9))
    (files / "ann.json").write_text(json.dumps(content))
    main(["a.pkl", "b.pkl", *FEW])
    assert "rainy: only the 8 images of 9 that were predicted count." in capsys.readouterr().out


def test_names_and_annotations():
    args = parse_args(
        ["runs/a.pkl", "x=b.pkl,c.pkl", "--annotations", "d.json", "--annotations", "fog=e.json",
         "--classes", "car,traffic light"]
    )  # fmt: skip
    named = {name: [str(path) for path in paths] for name, paths in args.models.items()}
    assert named == {"a": ["runs/a.pkl"], "x": ["b.pkl", "c.pkl"]}
    assert {name: str(path) for name, path in args.annotations.items()} == {
        "*": "d.json",
        "fog": "e.json",
    }
    assert args.classes == ["car", "traffic light"]


def test_a_file_with_an_equals_sign_in_its_name(tmp_path):
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    (folder / "a.pkl").touch()
    args = parse_args([f"{folder}/a.pkl", "b.pkl", "--annotations", "d.json"])
    assert args.models["a"] == [folder / "a.pkl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.pkl", "x/a.pkl", *FEW], "names of models must differ, got a, a"),
        (["a.pkl", "=b.pkl", *FEW], "expected NAME=FILE"),
        (["a.pkl", "b=", *FEW], "expected NAME=FILE"),
        (["a.pkl", "b=c.pkl,", *FEW], "expected NAME=FILE"),
        (["a.pkl", "b.pkl", *FEW, "--annotations", "b.json"], "names of annotations must differ"),
        (["a.pkl", "b.pkl"], "required: --annotations"),
        (["a.pkl", "b.pkl", *FEW, "--metric", "mAP"], "--metric"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse_args(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.pkl", *FEW], "needs a baseline and another model"),
        (["a.pkl", "b.pkl", *FEW, "--resamples", "0"], "resamples must be at least 1"),
        (["a.pkl", "d.pkl", *FEW], "d.pkl is not a file"),
        (["a.pkl", "ann.json", *FEW], "ann.json does not hold predictions"),
        (["a.pkl", "b.pkl", "--annotations", "a.pkl"], "a.pkl is not a COCO annotation file"),
        (["a.pkl", "b.pkl", *FEW, "--classes", "car"], "has no category 'car'"),
    ],
)
def test_errors_of_users_are_one_line(files, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert str(exit_.value.code).startswith("error: ")
    assert message in str(exit_.value.code)
    assert "\n" not in str(exit_.value.code)
