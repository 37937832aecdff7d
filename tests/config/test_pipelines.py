import pytest

from derain_plugin.config.conditions import with_pipeline

LOAD, OTHER_LOAD = dict(type="Load"), dict(type="OtherLoad")
RAIN, SIZE, PACK = dict(type="Rain"), dict(type="Resize"), dict(type="Pack")
WRITTEN = [LOAD, SIZE, PACK]


@pytest.mark.parametrize("new", [[OTHER_LOAD, PACK], [OTHER_LOAD, SIZE, SIZE, PACK], [OTHER_LOAD]])
def test_rain_stays_behind_the_loading(new):
    loader = dict(
        num_workers=2,
        dataset=dict(datasets=[dict(pipeline=WRITTEN), dict(pipeline=[LOAD, RAIN, SIZE, PACK])]),
    )
    changed = with_pipeline(loader, new, written=WRITTEN)
    dry, rainy = changed["dataset"]["datasets"]
    assert dry["pipeline"] == new
    assert rainy["pipeline"] == [OTHER_LOAD, RAIN, *new[1:]]
    assert changed["num_workers"] == 2
    assert loader["dataset"]["datasets"][0]["pipeline"] == WRITTEN


@pytest.mark.parametrize(
    "other", [[LOAD, PACK], [OTHER_LOAD, SIZE, PACK], [LOAD, SIZE, RAIN, PACK], [LOAD]], ids=str
)
def test_another_pipeline_is_refused(other):
    with pytest.raises(ValueError, match="which is not"):
        with_pipeline(dict(pipeline=other), [LOAD], written=WRITTEN)
