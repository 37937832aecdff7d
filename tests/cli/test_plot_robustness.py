import json

import pytest

from derain_plugin.cli.plot_robustness import main

REPORT = dict(
    title="rtdetr",
    conditions=dict(clean=dict(AP=0.5), severity_1=dict(AP=0.25)),
    gap=dict(AP=0.25),
    robustness=dict(bbox_P=0.5, bbox_mPC=0.25, bbox_rPC=0.5),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "robustness.json"
    path.write_text(json.dumps(REPORT))
    return str(path)


def test_prints_the_measures_of_each_model(file, tmp_path, capsys):
    main([file, f"neck={file}", "--out", str(tmp_path / "plot.png")])
    header, first, second, out = capsys.readouterr().out.splitlines()
    assert header.split() == ["P", "mPC", "rPC", "gap"]
    assert first.split() == ["rtdetr", "0.500", "0.250", "0.500", "0.250"]
    assert second.split()[0] == "neck"
    assert out == str(tmp_path / "plot.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no"), ("[1]", "is not a robustness.json"), ("{", "is not a robustness")],
)
def test_tells_what_is_wrong_with_a_file(tmp_path, content, message):
    path = tmp_path / "some.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit, match=message):
        main([str(path), "--out", str(tmp_path / "plot.png")])


def test_two_models_of_one_name(file, tmp_path):
    with pytest.raises(SystemExit, match="two models are called rtdetr: write NAME=FILE"):
        main([file, file, "--out", str(tmp_path / "plot.png")])
