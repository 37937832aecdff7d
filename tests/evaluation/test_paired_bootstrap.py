import numpy as np
import pytest

from derain_plugin.evaluation.paired_bootstrap import PairedBootstrap

IDS = np.arange(50)
QUALITY = np.random.default_rng(0).normal(size=50)


def mean_of(values):
    """A measure whose bootstrap distribution is known: the mean over the drawn images."""
    return lambda weights: float(weights @ values / weights.sum())


def one(measure) -> list[dict]:
    return [dict(clean=measure)]


def test_interval_of_a_mean():
    bootstrap = PairedBootstrap([one(mean_of(QUALITY))], dict(clean=IDS))
    assert bootstrap.measure() == pytest.approx(QUALITY.mean())
    draws = bootstrap.draw(2000)
    assert draws.shape == (2000, 1, 1)
    assert draws.mean() == pytest.approx(QUALITY.mean(), abs=0.01)
    assert draws.std() == pytest.approx(QUALITY.std() / np.sqrt(50), rel=0.06)


def test_models_see_the_same_images():
    models = [one(mean_of(QUALITY)), one(mean_of(QUALITY + 0.1)), one(mean_of(-QUALITY))]
    draws = PairedBootstrap(models, dict(clean=IDS)).draw(50)[..., 0]
    assert draws[:, 1] - draws[:, 0] == pytest.approx(np.full(50, 0.1))
    assert draws[:, 2] == pytest.approx(-draws[:, 0])


def test_conditions_share_the_draws_where_they_share_the_images():
    names = dict(clean=IDS, rainy=IDS.copy(), other=IDS + 1)
    models = [[dict.fromkeys(names, mean_of(QUALITY))]]
    clean, rainy, other = PairedBootstrap(models, names).draw(20)[:, 0].T
    assert np.array_equal(clean, rainy)
    assert not np.isclose(clean, other).any()


def test_conditions_of_different_size():
    few = QUALITY[:7]
    models = [[dict(clean=mean_of(QUALITY), other=mean_of(few))]]
    draws = PairedBootstrap(models, dict(clean=IDS, other=IDS[:7])).draw(1000)
    assert draws[:, 0, 1].std() == pytest.approx(few.std() / np.sqrt(7), rel=0.08)


def constants(*values: float) -> list[dict]:
    """Training seeds whose AP does not depend on the images."""
    return [dict(clean=lambda weights, value=value: value) for value in values]


def test_a_model_is_the_mean_over_its_training_seeds():
    bootstrap = PairedBootstrap([constants(1, 2, 6), constants(4)], dict(clean=IDS))
    assert bootstrap.measure()[:, 0].tolist() == [3, 4]
    draws = bootstrap.draw(600)[..., 0]
    assert set(draws[:, 1]) == {4}
    assert draws[:, 0].mean() == pytest.approx(3, abs=0.15)
    # Each of the ten ways to draw three of three occurs.
    assert len(set(draws[:, 0].round(6))) == 10


def test_training_seeds_are_paired_by_position():
    models = [constants(1, 2, 6), constants(1.5, 2.5, 6.5), constants(1, 2)]
    draws = PairedBootstrap(models, dict(clean=IDS)).draw(100)[..., 0]
    assert draws[:, 1] - draws[:, 0] == pytest.approx(np.full(100, 0.5))
    assert abs(np.corrcoef(draws[:, 0], draws[:, 2])[0, 1]) < 0.4


def test_result_depends_on_the_seed_but_not_on_the_workers():
    models = [[*one(mean_of(QUALITY)), *one(mean_of(QUALITY**2))]]
    draws = [
        PairedBootstrap(models, dict(clean=IDS), seed=seed).draw(30, workers=workers)
        for seed, workers in ((0, 1), (0, 3), (1, 1))
    ]
    assert np.array_equal(draws[0], draws[1])
    assert not np.isclose(draws[0], draws[2]).any()
    more = PairedBootstrap(models, dict(clean=IDS)).draw(40)
    assert np.array_equal(more[:30], draws[0])
