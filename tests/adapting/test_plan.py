"""How long an adaptation takes, and what is said before it."""

import cv2
import numpy as np
import pytest
from small_detectors import frozen

from derain_plugin.adapting import Length
from derain_plugin.adapting.photos import Photos
from derain_plugin.adapting.plan import warnings_for
from derain_plugin.adapting.training import Schedule, seconds_per_step


def never():
    raise AssertionError("only minutes are timed")


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (Length(), 319),  # four passes of 637 photos by 8
        (Length(iterations=7), 7),
        (Length(epochs=0.5), 40),
        (Length(epochs=1e-9), 1),
    ],
)
def test_lengths_in_steps(length, steps):
    assert length.steps(637, 8, never) == steps


def test_minutes_are_as_many_steps_as_fit():
    assert Length(minutes=2).steps(637, 8, lambda: 0.5) == 240
    assert Length(minutes=0.01).steps(637, 8, lambda: 60) == 1


def test_one_length_above_zero():
    with pytest.raises(ValueError, match="one of iterations, epochs and minutes"):
        Length(iterations=1, minutes=1)
    with pytest.raises(ValueError, match="epochs must be above 0, got -1"):
        Length(epochs=-1)


def test_timing_a_step_changes_nothing(photos):
    detector = frozen("rtdetr")
    before = {name: weight.clone() for name, weight in detector.derain.state_dict().items()}
    assert seconds_per_step(detector, photos, Schedule(1, 2), steps=1) > 0
    assert all((before[k] == v).all() for k, v in detector.derain.state_dict().items())
    assert all(parameter.grad is None for parameter in detector.derain.parameters())


def test_what_makes_a_good_result_unlikely_is_said(photos, tmp_path):
    hazy = tmp_path / "hazy.png"
    cv2.imwrite(str(hazy), np.full((50, 70, 3), (150, 155, 150), np.uint8))
    detector = frozen("yolox")  # its random weights are sure of nothing
    few, pale, nothing = warnings_for(detector, Photos([hazy]), [hazy])
    assert few.startswith("1 photos are few")
    assert "look pale and hazy" in pale
    assert "finds nothing in 1 of the photos" in nothing
    assert len(warnings_for(detector, Photos(photos * 5), photos[:1])) == 1
