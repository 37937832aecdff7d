import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derain_plugin.datasets.rain_draw import RainDraw

ratios = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))


def make_draw(
    both: int, only_clean: int = 0, only_rainy: int = 0, *, rain_ratio: float = 0.7, **options
) -> RainDraw:
    on_clean = np.repeat([True, True, False], [both, only_clean, only_rainy])
    on_rainy = np.repeat([True, False, True], [both, only_clean, only_rainy])
    return RainDraw(on_clean, on_rainy, rain_ratio=rain_ratio, **options)


def is_rainy_count(number: int, ratio: float, size: int) -> bool:
    return number == np.floor(ratio * size + 0.5) and abs(number - ratio * size) <= 0.5 + 1e-9


@settings(max_examples=200, deadline=None)
@given(
    both=st.integers(1, 60),
    only_clean=st.integers(0, 40),
    only_rainy=st.integers(0, 40),
    ratio=ratios,
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
    percent=st.floats(10, 100),
)
def test_exact_ratio_of_the_largest_possible_set(
    both, only_clean, only_rainy, ratio, seed, epoch, percent
):
    total = both + only_clean + only_rainy
    possible = [
        n
        for n in range(total + 1)
        if (r := np.floor(ratio * n + 0.5)) <= both + only_rainy and n - r <= both + only_clean
    ]
    counts = (both, only_clean, only_rainy)
    draw = make_draw(*counts, rain_ratio=ratio, seed=seed)
    assert draw.largest == len(draw.images) == max(possible)

    # ten percent of fewer than five images is none
    draw = make_draw(*counts, rain_ratio=ratio, seed=seed, percent=max(percent, 60 / draw.largest))
    images, rainy = draw.images, draw.rainy(epoch)
    assert len(rainy) == len(images) == len(set(images))
    assert is_rainy_count(rainy.sum(), ratio, len(images))
    assert not rainy[(images >= both) & (images < both + only_clean)].any()
    assert rainy[images >= both + only_clean].all()


@pytest.mark.parametrize("counts", [(500, 0, 0), (300, 200, 0), (100, 0, 300), (50, 300, 200)])
def test_percent_is_nested_and_independent_of_the_epoch(counts):
    sets = []
    for percent in (1, 10, 20, 55.5, 100):
        draw = make_draw(*counts, percent=percent, seed=3)
        before = draw.images.copy()
        assert len(before) == int(np.floor(percent / 100 * draw.largest + 0.5))
        for epoch in range(3):
            draw.rainy(epoch)
        assert np.array_equal(before, draw.images)
        sets.append(set(before.tolist()))
    assert all(small < large for small, large in itertools.pairwise(sets))


def test_percent_is_a_sample_of_every_kind_of_image():
    images = make_draw(300, 100, 100, percent=20, seed=3).images
    kinds = np.histogram(images, bins=[0, 300, 400, 500])[0]
    assert np.abs(kinds - [60, 20, 20]).max() < 15


def test_percent_depends_on_the_seed_and_not_on_the_ratio():
    tenth = make_draw(200, percent=10, seed=1).images
    assert np.array_equal(tenth, make_draw(200, percent=10, seed=1, rain_ratio=0.2).images)
    assert not np.array_equal(tenth, make_draw(200, percent=10, seed=2).images)
    assert not np.array_equal(tenth, np.arange(20))  # a sample, not the start


def test_rain_is_drawn_anew_for_every_epoch_and_reproducibly():
    draw, again = make_draw(1000, seed=5), make_draw(1000, seed=5)
    epochs = np.stack([draw.rainy(epoch).copy() for epoch in range(100)])
    assert len(np.unique(epochs, axis=0)) == 100
    for epoch in (99, 0, 40, 40):  # out of order, repeated
        assert np.array_equal(again.rainy(epoch), epochs[epoch])
    # Independent draws: each image is rainy in 70 of 100 epochs, sd 4.6.
    share = epochs.mean(axis=0)
    assert 0.4 < share.min() < share.max() < 0.95
    assert not np.array_equal(make_draw(1000, seed=6).rainy(0), epochs[0])


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan"), float("inf")])
def test_ratio_out_of_range(ratio):
    with pytest.raises(ValueError, match=f"rain_ratio must be in .*{ratio}"):
        make_draw(10, rain_ratio=ratio)


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan")])
def test_percent_out_of_range(percent):
    with pytest.raises(ValueError, match=f"percent must be in .*{percent}"):
        make_draw(10, percent=percent)


@pytest.mark.parametrize(
    ("option", "value"),
    [("rain_ratio", "0.7"), ("rain_ratio", True), ("percent", None), ("seed", None), ("seed", 0.5)],
)
def test_not_a_number(option, value):
    with pytest.raises(TypeError, match=f"{option} must be .*{value}"):
        make_draw(10, **{option: value})


def test_negative_seed():
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        make_draw(10, seed=-1)


def test_percent_that_leaves_no_image_names_the_smallest_that_does():
    with pytest.raises(ValueError, match=r"percent=0\.4 of 100 images leaves none.*least 0\.5"):
        make_draw(100, percent=0.4)
    assert len(make_draw(100, percent=0.5).images) == 1
