from pathlib import Path

import pytest

from derain_plugin.apis import find_sources


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.jpg", "a/deep/y.PNG", "a/drive.avi", "a/notes.txt", "b/x.jpg", "x_2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(*inputs, out="out"):
    sources = find_sources(inputs, Path(out))
    return {source.path.as_posix(): source.out.as_posix() for source in sources}


def test_a_folder_keeps_its_sub_folders(files):
    assert found("a") == {
        "a/deep/y.PNG": "out/deep/y.PNG",
        "a/drive.avi": "out/drive.mp4",
        "a/x.jpg": "out/x.jpg",
    }


def test_equal_names_are_told_apart(files):
    assert list(found("b/x.jpg", "a/x.jpg", "x_2.jpg").values()) == [
        "out/x.jpg",
        "out/x_2.jpg",
        "out/x_2_2.jpg",
    ]


def test_names_that_differ_in_case_or_by_the_video_format_only(files):
    (files / "X.JPG").touch()
    (files / "drive.mp4").touch()
    names = found("a/x.jpg", "X.JPG", "drive.mp4", "a/drive.avi").values()
    assert list(names) == ["out/x.jpg", "out/X_2.JPG", "out/drive.mp4", "out/drive_2.mp4"]


def test_globs_and_repeated_files(files):
    assert list(found("*/x.jpg", "a", "./a/x.jpg")) == [
        "a/x.jpg", "b/x.jpg", "a/deep/y.PNG", "a/drive.avi",
    ]  # fmt: skip
    assert list(found("**/*.PNG")) == ["a/deep/y.PNG"]


def test_a_name_with_brackets_is_no_glob(files):
    (files / "x[1].jpg").touch()
    assert found("x[1].jpg") == {"x[1].jpg": "out/x[1].jpg"}


def test_earlier_output_is_no_input(files):
    (files / "a/out").mkdir()
    (files / "a/out/x.jpg").touch()
    for inputs in ("a", "a/**"):
        assert "a/out/x.jpg" not in found(inputs, out="a/out")
    assert "a/out/x.jpg" in found("a")


@pytest.mark.parametrize("suffix", [".vob", ".asf", ".MXF", ".h264", ".hevc", ".mjpeg", ".divx"])
def test_rarer_videos_are_found(tmp_path, suffix):
    (tmp_path / f"drive{suffix}").touch()
    (source,) = find_sources([str(tmp_path)], tmp_path / "out")
    assert source.is_video
    assert source.out == tmp_path / "out/drive.mp4"


@pytest.mark.parametrize(
    ("name", "out", "error", "message"),
    [
        ("missing.jpg", "out", FileNotFoundError, "missing.jpg is no file or folder, and no file"),
        ("c/*.jpg", "out", FileNotFoundError, r"c/\*.jpg is no file"),
        ("a/notes.txt", "out", ValueError, "a/notes.txt is neither an image nor a video"),
        ("a/*.txt", "out", ValueError, r"a/\*.txt holds no image and no video"),
        ("b", "b", ValueError, "b holds no image and no video"),
        ("b/x.jpg", "b", ValueError, "b/x.jpg: its annotated version would overwrite the input"),
    ],
)
def test_tells_what_is_wrong(files, name, out, error, message):
    with pytest.raises(error, match=message):
        found(name, out=out)


def test_hidden_files_are_no_inputs_and_linked_folders_are(files):
    for name in ("a/._x.jpg", "a/.ipynb_checkpoints/x-checkpoint.jpg", "disk/z.jpg"):
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).touch()
    (files / "a/part").symlink_to(files / "disk")
    assert [*found("a")] == ["a/deep/y.PNG", "a/drive.avi", "a/part/z.jpg", "a/x.jpg"]


def test_a_missing_input_of_another_spelling_is_named(files):
    with pytest.raises(FileNotFoundError, match=r"X\.jpeg is no file .*there is 'x\.jpg'"):
        found("b/X.jpeg")
