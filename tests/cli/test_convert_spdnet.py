import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint

from derain_plugin.cli.convert_spdnet import main
from derain_plugin.models.restorers import SPDNet
from derain_plugin.models.restorers.spdnet_checkpoint import convert_spdnet, haar_kernels

KEYS = Path(__file__).parents[1] / "models/restorers/spdnet_official_keys.json"


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    torch.manual_seed(0)
    weights = {name: torch.randn(shape) * 0.01 for name, shape in json.loads(KEYS.read_text())}
    path = tmp_path_factory.mktemp("official") / "official.pt"
    torch.save({**weights, **haar_kernels()}, path)
    return path


def test_what_it_writes_is_an_ordinary_checkpoint(official, tmp_path, capsys):
    out = tmp_path / "new" / "spdnet.pth"
    main([str(official), str(out)])
    printed = capsys.readouterr().out
    assert "174 unused tensors dropped: conv_init1.ins, " in printed
    assert "sub3.fuse23.conv.conv" in printed
    assert "732 tensors, 2,981,525 parameters" in printed
    assert [path.name for path in out.parent.iterdir()] == ["spdnet.pth"]
    expected = convert_spdnet(torch.load(official, weights_only=True))
    pretrained = SPDNet(init_cfg=dict(type="Pretrained", checkpoint=str(out)))
    pretrained.init_weights()
    loaded = SPDNet()
    load_checkpoint(loaded, str(out), strict=True)
    for network in (pretrained, loaded):
        state = network.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (dict(epoch=3), "trained here in the old order: they restore as before at even sizes"),
        (dict(source="official.pt"), "The authors' weights in the old layout"),
    ],
)
def test_a_checkpoint_of_the_old_order_is_rewritten(meta, message, tmp_path, capsys):
    weights = {
        name.replace("aggregate_in", "gather").replace("aggregate_out", "summarise"): tensor
        for name, tensor in SPDNet(4, 1).state_dict().items()
    }
    torch.save(dict(meta=meta, state_dict=weights), tmp_path / "old.pth")
    with pytest.raises(ValueError, match=r"convert_spdnet.py OLD.pth NEW.pth"):
        load_checkpoint(SPDNet(4, 1), str(tmp_path / "old.pth"))
    main([str(tmp_path / "old.pth"), str(tmp_path / "new.pth")])
    assert message in capsys.readouterr().out
    load_checkpoint(SPDNet(4, 1), str(tmp_path / "new.pth"), strict=True)


def test_an_existing_file_is_kept(official, tmp_path):
    out = tmp_path / "spdnet.pth"
    out.write_text("mine")
    with pytest.raises(SystemExit, match=r"spdnet.pth exists. Remove it"):
        main([str(official), str(out)])
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a file"),
        ("text", "cannot be read"),
        (dict(a=torch.zeros(1)), "it misses 930"),
        (dict(a=print), "would call"),
    ],
)
def test_tells_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "official.pt"
    if isinstance(content, str):
        path.write_text(content)
    elif content:
        torch.save(content, path)
    with pytest.raises(SystemExit, match=message):
        main([str(path), str(tmp_path / "out.pth")])
    assert not (tmp_path / "out.pth").exists()
