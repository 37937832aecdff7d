import numpy as np
import pytest

from derain_plugin.rain.film import Film
from derain_plugin.rain.mist import distances, opacity, smooth_field, spray


def test_ground_is_near_at_the_bottom_and_far_at_the_horizon():
    far = np.mean([distances(60, 80, horizon=0.4, seed=seed) for seed in range(9)], axis=0)
    rows = far.mean(axis=1)
    assert np.argmax(rows) in range(22, 27)
    assert (np.diff(rows[26:]) < 0).all()
    assert rows[-1] < 0.4 * rows.max()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (5, 7), (60, 240)])
@pytest.mark.parametrize("seed", range(3))
def test_fields_have_their_size_and_range(size, seed):
    far, mist = (make(*size, horizon=0.45, seed=seed) for make in (distances, spray))
    hills = smooth_field(*size, np.random.default_rng(seed))
    for field in (far, mist, hills):
        assert field.shape == size
        assert field.dtype == np.float32
        assert (field >= 0).all()
    assert hills.max() <= 1
    assert 0 < far.max() <= 1


def test_mist_hides_more_the_deeper_it_is():
    hidden = opacity(np.array([0, 0.5, 1, 50]))
    assert hidden[0] == 0
    assert (np.diff(hidden) > 0).all()
    assert hidden[-1] == pytest.approx(1)


def test_layers_of_a_film_hide_those_behind():
    film = Film(3, 4)
    film.lay(np.full((3, 4), 0.5, np.float32), 1.0)
    film.lay(np.full((3, 4), 0.5, np.float32), 0.0)
    np.testing.assert_allclose(film.passes, 0.25)
    np.testing.assert_allclose(film.light, 0.25)
    opaque = np.ones((3, 4), np.float32)
    film.lay(opaque, 0.7)
    np.testing.assert_allclose(film.passes, 0)
    np.testing.assert_allclose(film.light, 0.7, rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "expected"), [((480, 640), (60, 80)), ((30, 40), (30, 40)), ((1, 4000), (1, 240))]
)
def test_film_is_small(size, expected):
    assert Film(*size).passes.shape == expected
