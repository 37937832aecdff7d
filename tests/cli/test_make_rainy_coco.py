import json
import multiprocessing
import os
import signal
import threading
import time

import pytest
from tqdm import tqdm

from derain_plugin.cli.make_rainy_coco import main
from derain_plugin.rain.copies import render_image as module


@pytest.fixture
def images(coco_root):
    return str(coco_root / "val2017")


def test_makes_a_copy_then_verifies_it(images, coco_root, tmp_path, capsys):
    out = str(tmp_path / "rainy")
    annotations = str(coco_root / "annotations/instances_val2017.json")
    command = [images, "--severity", "1-5", out, "--workers", "2", "--annotations", annotations]
    main(command)
    assert "10 files made now, 0 were there" in capsys.readouterr().out
    main(command)
    assert "0 files made now, 10 were there" in capsys.readouterr().out
    for verify in ([out, "--verify"], ["--verify", out], [images, "--verify", out]):
        main(verify)
        assert "all are there and unaltered" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"other parameters.*seed was 0, now 1"):
        main([*command, "--seed", "1"])


def test_findings_of_verify_are_told(images, tmp_path, capsys):
    out = tmp_path / "rainy"
    main([images, str(out)])
    (out / "000000000001.jpg").unlink()
    (out / "000000000002.jpg").write_bytes(b"altered")
    (out / "mine.txt").touch()
    with pytest.raises(SystemExit) as end:
        main(["--verify", str(out)])
    assert end.value.code == 1
    told = capsys.readouterr()
    assert "unaltered" not in told.out
    for line in ("1 missing", "  000000000001.jpg", "1 altered", "  mine.txt"):
        assert line in told.err


def test_one_folder_per_severity(images, tmp_path):
    options = ["--per-severity", "--lens-drops", "--components", "veil,streaks=0.5"]
    main([images, str(tmp_path / "rainy"), "--severity", "4-5", *options])
    assert (
        sorted(path.name for path in tmp_path.glob("rainy/*/000000000003.jpg"))
        == ["000000000003.jpg"] * 2
    )
    parameters = json.loads((tmp_path / "rainy/manifest.json").read_text())["parameters"]
    assert parameters["lens_drops"] is True
    assert parameters["components"] == {"streaks": 0.5, "veil": 1.0}


def test_unreadable_images_are_told_and_decide_the_exit_code(images, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    os.link(f"{images}/000000000001.jpg", tmp_path / "in/1.jpg")
    (tmp_path / "in/2.jpg").touch()
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "in"), str(tmp_path / "rainy")])
    assert end.value.code == 1
    told = capsys.readouterr()
    assert "1 files made now" in told.out
    assert "1 unreadable" in told.err
    assert "2.jpg: the file is empty" in told.err
    assert (tmp_path / "rainy/1.jpg").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--severity", "6"], "severity must be in 0-5, got 6"),
        (["--severity", "5-1"], "from mild to worst, got (5, 1)"),
        (["--severity", "heavy"], "like 3 or 1-5, got 'heavy'"),
        (["--components", "veil,fog"], "'fog' is no component of rain; there are streaks"),
        (["--quality", "0"], "quality must be in 1-100, got 0"),
        (["--seed", "-1"], "must not be negative"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_told(images, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        main([images, str(tmp_path / "rainy"), *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "rainy").exists()


def test_one_folder_is_not_enough(images, capsys):
    with pytest.raises(SystemExit):
        main([images])
    assert "two folders are needed" in capsys.readouterr().err


def test_a_wrong_folder_is_told_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match="absent does not exist"):
        main([str(tmp_path / "absent"), str(tmp_path / "rainy")])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(images, tmp_path, monkeypatch, capfd, number):
    monkeypatch.setattr(module, "render_rain", lambda image, *_, **__: time.sleep(0.3) or image)
    out = tmp_path / "rainy"

    def run():
        tqdm.set_lock(threading.RLock())  # the inherited one stays locked if this is stopped
        main([images, str(out), "--workers", "1"])

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    while not list(out.glob("*.jpg")):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(20)
    assert process.exitcode == 128 + number
    assert "stopped; run again to continue" in capfd.readouterr().err
    assert len(list(out.glob("*.jpg"))) < 10


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_the_system_kills_is_told(images, tmp_path, monkeypatch, number):
    monkeypatch.setattr(module, "render_rain", lambda *_, **__: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit, match=r"worker process was killed.*fewer --workers"):
        main([images, str(tmp_path / "rainy")])
