import pytest
from mmengine.config import Config

from derain_plugin.config.loading import check_option_names

CFG = Config(dict(percent=100, data_root="data/", train_dataloader=dict(batch_size=2)))


@pytest.mark.parametrize(
    "name", ["percent", "train_dataloader.batch_sze", "val_dataloader.batch_size", "resume", "tag"]
)
def test_known_names_the_runners_and_new_ones_are_taken(name):
    check_option_names(CFG, [name])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("percnt", "percent"),
        ("dataroot", "data_root"),
        ("train_dataloder.seed", "train_dataloader"),
    ],
)
def test_a_name_like_another_is_refused(name, meant):
    with pytest.raises(ValueError, match=rf"which {name}= would set; did you mean {meant}\?"):
        check_option_names(CFG, ["percent", name])
