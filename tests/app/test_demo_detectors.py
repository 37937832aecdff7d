"""The page shows what the demo has trained, from its work dir alone."""

import pytest

from derain_plugin.app.demo import DERAINED, VANILLA, demo_detectors, demo_images


def write_run(folder, name, epochs):
    """What training leaves: its config and a checkpoint of each epoch."""
    run = folder / name
    run.mkdir()
    (run / f"{name}.py").write_text(f"train_cfg = dict(max_epochs={epochs})\n")
    for epoch in range(1, epochs + 1):
        (run / f"epoch_{epoch}.pth").touch()


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path, VANILLA, 10)
    write_run(tmp_path, DERAINED, 2)
    return tmp_path


def test_the_last_checkpoints_and_their_configs(folder):
    assert demo_detectors(folder) == [
        (str(folder / VANILLA / f"{VANILLA}.py"), str(folder / VANILLA / "epoch_10.pth")),
        (str(folder / DERAINED / f"{DERAINED}.py"), str(folder / DERAINED / "epoch_2.pth")),
    ]


@pytest.mark.parametrize(
    "missing", [f"{VANILLA}/{VANILLA}.py", f"{VANILLA}/epoch_10.pth", f"{DERAINED}/epoch_2.pth"]
)
def test_an_unfinished_demo_says_what_to_do(folder, missing):
    (folder / missing).unlink()
    message = rf"there is no .*{missing}: run `make demo`, or give --vanilla and --derained"
    with pytest.raises(FileNotFoundError, match=message):
        demo_detectors(folder)


def test_images_of_the_demo_are_its_test_images_in_order(tmp_path):
    assert demo_images(tmp_path) == []
    (tmp_path / "test2017").mkdir()
    names = [f"{number:02d}.jpg" for number in range(20)]
    for name in names[1::2] + names[::2]:
        (tmp_path / "test2017" / name).touch()
    assert [path.name for path in demo_images(tmp_path)] == names
