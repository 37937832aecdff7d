"""The grid of a detector before and after it was adapted."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from small_detectors import frozen, write_photos

from derain_plugin.apis.adaptation_grid import TITLE, WIDTH, draw_grid


def test_a_row_per_photo_with_boxes_that_stay_in_their_tiles(tmp_path, monkeypatch):
    detector, photos = frozen("yolox"), write_photos(tmp_path, 3)

    def detect(image):
        outside = torch.tensor([[-9.0, -9.0, 2.0 * image.shape[1], 30.0]])
        return InstanceData(bboxes=outside, scores=torch.tensor([0.9]), labels=torch.tensor([0]))

    monkeypatch.setattr(detector, "detect", detect)
    grid = draw_grid(detector, photos[:2], rainy=photos[2:], classes=("square", "disc"))
    height = round(WIDTH * 50 / 76)
    assert grid.shape[1] == 4 * WIDTH
    assert abs(grid.shape[0] - TITLE - 3 * height) < 10
    first, rainy = grid[TITLE : TITLE + height], grid[-200:]
    assert (first[2:-2, WIDTH + 2 : 2 * WIDTH - 2] == 255).all(2).mean() < 0.05
    assert (rainy[2:-2, 2 : WIDTH - 2] == 255).all()  # there is no clean one
    assert np.any(first[:, 3 * WIDTH :] != first[:, 2 * WIDTH : 3 * WIDTH])
