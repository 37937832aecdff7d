import hashlib
import json
import shutil

import pytest
from folder_contents import contents, manifest_of, times
from small_photos import MIXED, NAMES

from derain_plugin.rain.copies import Recipe, make_rainy_copy
from derain_plugin.rain.copies import render_image as module


def test_same_names_and_a_manifest_of_each_file(reference):
    manifest = manifest_of(reference)
    files = contents(reference)
    del files["manifest.json"]
    assert sorted(files) == sorted(NAMES) == list(manifest["files"])
    for path, record in manifest["files"].items():
        assert record["sha256"] == hashlib.sha256(files[path]).hexdigest()
    assert manifest["files"]["val2017/000000000139.jpg"]["image_id"] == 139
    assert manifest["complete"] is True
    assert manifest["parameters"]["seed"] == 3
    assert manifest["parameters"]["severities"]["5"]["density"] > 0
    assert len({record["severity"] for record in manifest["files"].values()}) > 2


def test_input_is_only_read(photos, tmp_path):
    before = contents(photos), times(photos)
    make_rainy_copy(photos, tmp_path / "rainy", recipe=MIXED)
    assert (contents(photos), times(photos)) == before


def test_any_number_of_workers_makes_the_same_files(photos, reference, tmp_path):
    make_rainy_copy(photos, tmp_path / "rainy", recipe=MIXED, num_workers=3)
    assert contents(tmp_path / "rainy") == contents(reference)


def test_the_rain_of_a_image_does_not_depend_on_the_others(photos, reference, tmp_path):
    (tmp_path / "few/val2017").mkdir(parents=True)
    for name in NAMES[1:3]:
        shutil.copy(photos / name, tmp_path / "few" / name)
    make_rainy_copy(tmp_path / "few", tmp_path / "rainy", recipe=MIXED)
    for name in NAMES[1:3]:
        assert (tmp_path / "rainy" / name).read_bytes() == (reference / name).read_bytes()


def test_one_folder_per_severity(photos, tmp_path):
    recipe = Recipe(severity=(2, 3), per_severity=True)
    report = make_rainy_copy(photos / "val2017", tmp_path / "rainy", recipe=recipe)
    assert report.num_files == 12
    for level in (2, 3):
        make_rainy_copy(
            photos / "val2017", tmp_path / str(level), recipe=Recipe(severity=(level, level))
        )
        one, alone = contents(tmp_path / f"rainy/severity_{level}"), contents(tmp_path / str(level))
        del alone["manifest.json"]
        assert one == alone


def test_annotations_choose_images_and_ids(photos, tmp_path):
    images = [dict(id=77, file_name="000000000724.png"), dict(id=78, file_name="gone.jpg")]
    (tmp_path / "instances.json").write_text(json.dumps(dict(images=images)))
    report = make_rainy_copy(
        photos / "val2017",
        tmp_path / "rainy",
        recipe=MIXED,
        annotations=tmp_path / "instances.json",
    )
    assert report == (1, 1, {"gone.jpg": "No such file or directory"})
    records = manifest_of(tmp_path / "rainy")["files"]
    assert {path: record["image_id"] for path, record in records.items()} == {
        "000000000724.png": 77
    }


def test_a_finished_copy_is_left_alone(photos, reference, tmp_path, monkeypatch):
    out = tmp_path / "rainy"
    shutil.copytree(reference, out)
    before = times(out)
    monkeypatch.setattr(module, "_stored", None)  # nothing is read again either
    assert make_rainy_copy(photos, out, recipe=MIXED) == (len(NAMES), 0, {})
    assert times(out) == before
    assert contents(out) == contents(reference)


def test_a_deleted_file_is_made_again_and_an_altered_one_is_not_accepted(
    photos, reference, tmp_path
):
    out = tmp_path / "rainy"
    shutil.copytree(reference, out)
    (out / NAMES[0]).unlink()
    (out / NAMES[1]).write_bytes(b"altered")
    assert make_rainy_copy(photos, out, recipe=MIXED).num_new == 1
    assert manifest_of(out) == manifest_of(reference)


def test_unreadable_images_are_listed_and_tried_again(photos, reference, tmp_path):
    source, out = tmp_path / "photos", tmp_path / "rainy"
    shutil.copytree(photos, source)
    whole = (source / NAMES[0]).read_bytes()
    (source / NAMES[0]).write_bytes(whole[:-20])
    (source / NAMES[1]).write_bytes(b"")
    (source / NAMES[2]).write_text("<html>")
    report = make_rainy_copy(source, out, recipe=MIXED, num_workers=2)
    assert sorted(report.unreadable) == sorted(NAMES[:3])
    assert report.num_files == len(NAMES) - 3
    assert manifest_of(out)["unreadable"] == report.unreadable
    (source / NAMES[0]).write_bytes(whole)
    report = make_rainy_copy(source, out, recipe=MIXED)
    assert report.num_new == 1
    assert sorted(report.unreadable) == sorted(NAMES[1:3])
    assert (out / NAMES[0]).read_bytes() == (reference / NAMES[0]).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(seed=4), "seed was 3, now 4"),
        (dict(severity=(1, 4)), r"severity was \[1, 5\], now \[1, 4\]"),
        (dict(quality=90, lens_drops=True), "lens_drops was False.*; quality was 95, now 90"),
        (dict(per_severity=True), "per_severity was False, now True"),
    ],
)
def test_a_copy_of_other_parameters_is_not_continued(photos, reference, change, message):
    before = contents(reference)
    with pytest.raises(ValueError, match=message):
        make_rainy_copy(photos, reference, recipe=Recipe(**{**vars(MIXED), **change}))
    assert contents(reference) == before


def test_a_copy_of_other_images_or_renderer_is_not_continued(
    photos, reference, tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match=r"images was '.*photos.*', now '.*/val2017'"):
        make_rainy_copy(photos / "val2017", reference, recipe=MIXED)
    monkeypatch.setattr("derain_plugin.rain.copies.recipe.RENDERER_VERSION", 999)
    with pytest.raises(ValueError, match=r"renderer_version was .*, now 999"):
        make_rainy_copy(photos, reference, recipe=MIXED)


@pytest.mark.parametrize("name", ["mine.txt", "val2017/000000000139.jpg", "manifest.json"])
def test_a_folder_of_something_else_is_refused(photos, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(ValueError, match=r"was not made by this command|not the manifest"):
        make_rainy_copy(photos, tmp_path, recipe=MIXED)
    assert contents(tmp_path) == {name: b"precious"}
    assert not (tmp_path / ".lock").exists()


def test_bad_folders_and_workers_are_refused(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        make_rainy_copy(photos, tmp_path / "file", recipe=MIXED)
    with pytest.raises(ValueError, match="num_workers must be at least 1, got 0"):
        make_rainy_copy(photos, tmp_path / "rainy", recipe=MIXED, num_workers=0)
    with pytest.raises(ValueError, match="would mix with its input"):
        make_rainy_copy(photos, photos / "rainy", recipe=MIXED)
    assert not (tmp_path / "rainy").exists()
    assert not (photos / "rainy").exists()
