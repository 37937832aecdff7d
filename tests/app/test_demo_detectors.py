"""The page shows what the demo has left, from its work dir alone."""

import pytest

from derain_plugin.app.demo import MERGED, VANILLA, demo_detectors, demo_images


@pytest.fixture
def folder(tmp_path):
    """What training leaves, its config and a checkpoint of each epoch, and what merging does."""
    trained, merged = tmp_path / VANILLA, tmp_path / MERGED
    trained.mkdir()
    (trained / f"{VANILLA}.py").write_text("train_cfg = dict(max_epochs=10)\n")
    for epoch in range(1, 11):
        (trained / f"epoch_{epoch}.pth").touch()
    merged.mkdir()
    for name in ("config.py", "checkpoint.pth"):
        (merged / name).touch()
    return tmp_path


def test_the_last_checkpoint_and_the_merged_one_with_their_configs(folder):
    assert demo_detectors(folder) == [
        (str(folder / VANILLA / f"{VANILLA}.py"), str(folder / VANILLA / "epoch_10.pth")),
        (str(folder / MERGED / "config.py"), str(folder / MERGED / "checkpoint.pth")),
    ]


@pytest.mark.parametrize(
    "missing",
    [
        f"{VANILLA}/{VANILLA}.py",
        f"{VANILLA}/epoch_10.pth",
        f"{MERGED}/config.py",
        f"{MERGED}/checkpoint.pth",
    ],
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
