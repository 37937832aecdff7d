import pytest
from mmengine.config import Config

from derain_plugin.config.targets import find_targets

CFG = Config(
    dict(
        loader=dict(dataset=dict(type="Mix", clean=dict(percent=1), rainy=dict(percent=2))),
        wrapped=dict(dataset=dict(type="Repeat", dataset=dict(type="Mix", clean=dict(percent=3)))),
        steps=[dict(type="Load"), dict(type="Resize", scale=4), dict(type="Resize", scale=5)],
        nothing=None,
    )
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("loader.dataset.clean.percent", {"loader.dataset.clean.percent": 1}),
        ("wrapped.dataset.clean.percent", {"wrapped.dataset.dataset.clean.percent": 3}),
        ("steps.Resize.scale", {"steps.1.scale": 4, "steps.2.scale": 5}),
        ("steps.Load|Resize.scale", {"steps.1.scale": 4, "steps.2.scale": 5}),
        ("steps.Warp|Pad.scale", {}),
        ("steps.*.scale", {"steps.1.scale": 4, "steps.2.scale": 5}),
        ("steps.-1.scale", {"steps.2.scale": 5}),
        ("steps.1.scale", {"steps.1.scale": 4}),
        ("steps.3.scale", {}),
        ("steps.-4.scale", {}),
        ("steps.Pad.size", {}),
        ("steps.scale", {}),
        ("nothing.scale", {}),
        ("absent.scale", {}),
        ("loader.dataset.clean.percent.more", {}),
    ],
)
def test_paths(pattern, found):
    assert {".".join(t.path): t.value for t in find_targets(CFG, pattern)} == found
