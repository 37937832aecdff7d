import pytest

from projects.study.cli.make_study_coco import main

FEW = ["--train", "2", "--val", "1", "--test", "1", "--workers", "1"]


def test_writes_data_and_statistics(tmp_path, capsys):
    out, stats = tmp_path / "coco", tmp_path / "stats"
    main([str(out), *FEW, "--stats", str(stats)])
    assert "2 train, 1 val, 1 test images" in capsys.readouterr().out
    assert {path.name for path in stats.iterdir()} == {"data.md", "data.json", "data.jpg"}
    assert len(list(out.rglob("*.jpg"))) == 4


def test_refuses_a_folder_that_it_did_not_make(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SystemExit, match="not empty and was not made by this command"):
        main([str(tmp_path), *FEW])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("option", [["--workers", "0"], ["--train", "many"]], ids=" ".join)
def test_refuses_bad_options(tmp_path, option):
    with pytest.raises(SystemExit) as error:
        main([str(tmp_path / "coco"), *option])
    assert error.value.code == 2
