"""How long an adaptation takes, and what is said before it."""

import cv2
import numpy as np
import pytest
from small_detectors import frozen

from derain_plugin.adapting import Length, plan
from derain_plugin.adapting.photos import Photos, find_photos
from derain_plugin.adapting.plan import begin, describe_plan, warnings_for
from derain_plugin.adapting.renderers import rain_of
from derain_plugin.adapting.training import Schedule
from derain_plugin.rain import RENDERER_VERSION


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


def test_what_makes_a_good_result_unlikely_is_said(photos, tmp_path):
    hazy = tmp_path / "hazy.png"
    cv2.imwrite(str(hazy), np.full((50, 70, 3), (150, 155, 150), np.uint8))
    detector = frozen("yolox")  # its random weights are sure of nothing
    few, pale, nothing = warnings_for(detector, Photos([hazy]), [hazy])
    assert few.startswith("1 photos are few")
    assert "look pale and hazy" in pale
    assert "finds nothing in 1 of the photos" in nothing
    assert len(warnings_for(detector, Photos(photos * 5), photos[:1])) == 1


@pytest.fixture
def begun(photos, tmp_path, monkeypatch):
    """Begin a run, or resume it, with a detector that is never asked."""
    monkeypatch.setattr(plan, "fitting_batch", lambda *_: 2)
    sizes = find_photos(photos).sizes

    def begin_or_resume(batch_size=8, rain="ours", **options):
        return begin(
            tmp_path / "out", None, sizes, Schedule(1, batch_size), Length(epochs=2),
            rain=rain_of(rain), **options,
        )  # fmt: skip

    return begin_or_resume


def test_passes_are_counted_in_batches_that_fit(begun):
    assert begun(is_batch_free=True) == Schedule(6, 2)  # two passes of six photos


def test_a_resumed_run_keeps_the_batch_that_fitted_then(begun, monkeypatch):
    begun(is_batch_free=True)
    monkeypatch.setattr(plan, "fitting_batch", never)
    assert begun(is_batch_free=True, resume=True) == Schedule(6, 2)
    assert begun(batch_size=2, resume=True) == Schedule(6, 2)
    with pytest.raises(ValueError, match=r"other settings \(batch_size differ\)"):
        begun(batch_size=4, resume=True)


def test_a_run_is_resumed_with_its_rain(begun):
    begun(rain="ours")
    assert begun(rain=f"ours:{RENDERER_VERSION}", resume=True)
    with pytest.raises(ValueError, match=r"other settings \(the rain differ\)"):
        begun(rain=never, resume=True)


@pytest.mark.parametrize(
    ("batch", "is_free", "is_said"), [(2, True, True), (5, True, False), (2, False, False)]
)
def test_the_plan_says_when_memory_decides(photos, batch, is_free, is_said):
    said = describe_plan(
        frozen("yolox"), find_photos(photos), photos[1:], photos[:1], Schedule(3, batch),
        rain=rain_of("ours"), is_batch_free=is_free,
    )  # fmt: skip
    assert f"3 iterations of {batch}" in said
    assert ("as many as fit into memory" in said) == is_said
    assert f"rain:      ours {RENDERER_VERSION}, severity 1-5; 50% stay clean" in said
