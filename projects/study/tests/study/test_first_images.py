import json

from projects.study import first_images


def test_lowest_ids_are_kept_with_their_labels(tmp_path):
    images = [dict(id=number) for number in (7, 3, 9, 1)]
    labels = [dict(id=k, image_id=image) for k, image in enumerate((7, 3, 3, 1, 9))]
    full, out = tmp_path / "full.json", tmp_path / "new" / "out.json"
    full.write_text(json.dumps(dict(images=images, annotations=labels, categories=[dict(id=1)])))
    first_images.main([str(full), "2", str(out)])
    found = json.loads(out.read_text())
    assert [image["id"] for image in found["images"]] == [1, 3]
    assert [label["id"] for label in found["annotations"]] == [1, 2, 3]
    assert found["categories"] == [dict(id=1)]
