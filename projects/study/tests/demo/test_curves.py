import json

import cv2

from projects.study.demo.curves import draw_curves, read_scalars


def write_log(folder, name, records):
    path = folder / name / "vis_data/scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def validation(epoch, clean, rainy):
    return {"step": epoch, "clean/coco/bbox_mAP": clean, "rainy/coco/bbox_mAP": rainy}


def test_a_resumed_training_is_one_curve(tmp_path):
    write_log(tmp_path, "1", [dict(step=1, loss=9.0), dict(step=2, loss=8.0)])
    with (tmp_path / "1/vis_data/scalars.json").open("a") as log:
        log.write('{"step": 3, "lo')  # killed while it wrote
    write_log(tmp_path, "2", [dict(step=2, loss=7.0), validation(2, 0.4, 0.2)])
    assert read_scalars(tmp_path) == [
        dict(step=1, loss=9.0),
        dict(step=2, loss=7.0),
        validation(2, 0.4, 0.2),
    ]


def test_draws_losses_and_scores(tmp_path):
    write_log(tmp_path / "a", "1", [dict(step=1, loss=9.0), validation(1, 0.4, 0.2)])
    write_log(tmp_path / "b", "1", [dict(step=1, loss=5.0), validation(1, 0.5, 0.4)])
    draw_curves({"a": tmp_path / "a", "b": tmp_path / "b"}, tmp_path / "curves.png")
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image.shape[1] > 1000
    assert image.std() > 5
    assert [path.name for path in tmp_path.glob("curves*")] == ["curves.png"]
