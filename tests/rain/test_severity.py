import itertools
from dataclasses import FrozenInstanceError, fields

import pytest

from derain_plugin.rain import SEVERITIES, Severity
from derain_plugin.rain.streaks import _LAYERS


def test_there_are_five():
    assert list(SEVERITIES) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Severity) if field.name != "words"]
)
def test_every_parameter_worsens_with_severity(name):
    for mild, worse in itertools.pairwise(SEVERITIES.values()):
        before, after = getattr(mild, name), getattr(worse, name)
        assert after >= before


def test_table_cannot_be_changed():
    with pytest.raises(TypeError):
        SEVERITIES[6] = SEVERITIES[5]
    with pytest.raises(FrozenInstanceError):
        SEVERITIES[1].density = 0


def test_there_is_a_layer_for_every_distance():
    assert SEVERITIES[5].num_layers == len(_LAYERS)
