from types import SimpleNamespace

import pytest

from derain_plugin.visualization import ImageNames, image_names


class Parts:
    """A ConcatDataset's sizes."""

    def __init__(self, cumulative_sizes, interleaved):
        self.metainfo = dict(cumulative_sizes=cumulative_sizes, interleaved=interleaved)

    def __len__(self):
        return self.metainfo["cumulative_sizes"][-1]


def named(paths, *, sizes, prefixes, interleaved=False):
    names = ImageNames(
        SimpleNamespace(
            test_evaluator=SimpleNamespace(dataset_prefixes=prefixes),
            test_dataloader=SimpleNamespace(dataset=Parts(sizes, interleaved)),
        )
    )
    return [names.name_next(path) for path in paths]


def test_equal_names_of_several_folders_are_kept_apart():
    names = named(["a/x.png", "b/x.png", "a/x.png"], sizes=[2, 3], prefixes=["clean", "rainy"])
    assert names == ["x_clean", "x_clean_2", "x_rainy"]


def test_conditions_of_an_image_one_after_another():
    names = named(["x", "x", "y"], sizes=[2, 3], prefixes=["clean", "rainy"], interleaved=True)
    assert names == ["x_clean", "x_rainy", "y_clean"]


def test_without_conditions():
    assert named(["x.png"], sizes=[1], prefixes=None) == ["x"]


@pytest.mark.parametrize(
    ("rank", "expected"), [(0, ["p_clean", "q_rainy"]), (1, ["p_clean", None])]
)
def test_ranks_deal_as_the_sampler_does(monkeypatch, rank, expected):
    """Three images on two ranks: the second gets the first image again, as padding."""
    monkeypatch.setattr(image_names, "get_world_size", lambda: 2)
    monkeypatch.setattr(image_names, "get_rank", lambda: rank)
    assert named(["p.png", "q.png"], sizes=[2, 3], prefixes=["clean", "rainy"]) == expected
