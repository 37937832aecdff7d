from dataclasses import replace

import numpy as np
import pytest

from derain_plugin.rain import SEVERITIES
from derain_plugin.rain.veil import airlight, mean_light, veil_table


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("mean", [0.0, 0.4, 1.0])
def test_veil_flattens_but_keeps_the_order(severity, mean):
    table = veil_table(SEVERITIES[severity], mean=mean)
    assert table.shape == (256,)
    assert (np.diff(table) > 0).all()
    assert np.ptp(table) < 1
    assert table[0] >= 0
    assert table[-1] < 1


def test_black_rises_and_white_falls_with_severity():
    tables = [veil_table(severity, mean=0.4) for severity in SEVERITIES.values()]
    black, white = [table[0] for table in tables], [table[-1] for table in tables]
    assert black == sorted(black)
    assert white == sorted(white, reverse=True)


def test_thick_veil_is_the_airlight():
    opaque = veil_table(replace(SEVERITIES[3], transmission=0.0), mean=0.3)
    np.testing.assert_allclose(opaque, airlight(0.3))


def test_clear_veil_only_dims():
    severity = replace(SEVERITIES[3], transmission=1.0)
    table = veil_table(severity, mean=0.3)
    assert np.ptp(table) == pytest.approx(severity.contrast * severity.brightness)


def test_night_has_a_darker_sky_than_day():
    assert airlight(0.05) < airlight(0.6) < 1


def test_mean_light_is_over_channels():
    image = np.zeros((5, 7, 3), np.uint8)
    image[..., 1] = 255
    assert mean_light(image) == pytest.approx(1 / 3)
