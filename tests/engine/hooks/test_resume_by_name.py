"""A resumed run goes on with the state and the schedule that belong to it, or says why not."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from phased_runner import ADAMW, Spy, ToyDetector, build_runner, rate_of
from torch import nn

from derain_plugin.engine.hooks import ResumeByNameHook

ALL = [dict(name="all", epochs=(1, None), lr={"*": 1e-3})]
HEAD_FIRST = [dict(name="head", epochs=(1, None), lr={"head": 1e-3, "neck.neck": 1e-3})]
NO_NORM_DECAY = dict(paramwise_cfg=dict(norm_decay_mult=0.0))
PLAIN = dict(type="OptimWrapper", optimizer=ADAMW, constructor="DefaultOptimWrapperConstructor")
BY_NAME = (dict(type="ResumeByNameHook"),)


def train(work_dir, *, epochs=4, resume_from=None, **kwargs):
    """Train without validation; return the runner, what a resume brought, and the rates."""
    brought, rates = [], []

    def look(runner):
        if not brought:
            brought.append(by_name(runner))
        rates.append(rate_of(runner, "head.weight"))

    hooks = (*kwargs.pop("hooks", ()), Spy(look))
    runner = build_runner(
        work_dir,
        epochs=epochs,
        hooks=hooks,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        load_from=resume_from and str(resume_from),
        resume=resume_from is not None,
        **kwargs,
    )
    runner.train()
    return runner, brought[0], rates


def by_name(runner):
    """Momentum and weight decay of each parameter of an optimizer."""
    names = {item: name for name, item in runner.model.named_parameters()}
    optimizer = runner.optim_wrapper.optimizer
    return {
        names[item]: (
            optimizer.state[item].get("exp_avg", torch.zeros(0)).clone(),
            g["weight_decay"],
        )
        for g in optimizer.param_groups
        for item in g["params"]
    }


def assert_same(found, expected):
    """The optimizers may leave frozen parameters out, which have no momentum."""
    for name in found.keys() | expected.keys():
        momentum, decay = expected.get(name, (torch.zeros(0), 0.1))
        assert torch.equal(found.get(name, (torch.zeros(0),))[0], momentum), name
        assert name not in found or found[name][1] == decay, name


def unnamed(path, *, cfg=None):
    """Make a checkpoint look as earlier versions wrote it."""
    checkpoint = torch.load(path, weights_only=False)
    for group in checkpoint["optimizer"]["param_groups"]:
        del group["param_names"]
    checkpoint["meta"]["cfg"] = cfg
    torch.save(checkpoint, path)
    return path


GROUPINGS = {
    "another first phase": (dict(phases=ALL, optim=NO_NORM_DECAY), dict(phases=HEAD_FIRST)),
    "one group, then one for each": (
        dict(phases=None, optim=PLAIN, hooks=BY_NAME),
        dict(phases=ALL, optim={}),
    ),
    "mmengine's group for each, then ours": (
        dict(phases=None, optim=PLAIN | NO_NORM_DECAY, hooks=BY_NAME),
        dict(phases=ALL, optim=NO_NORM_DECAY),
    ),
    "one for each, then one group": (
        dict(phases=None, optim={}),
        dict(phases=None, optim=PLAIN),
    ),
}


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_state_goes_to_the_parameter_of_its_name(tmp_path, grouping):
    before, now = GROUPINGS[grouping]
    first, _, _ = train(tmp_path / "first", epochs=2, **before)
    saved = by_name(first)
    assert {name for name, (value, _) in saved.items() if value.numel()} == {
        name for name, item in first.model.named_parameters() if item.requires_grad
    }
    _, brought, _ = train(
        tmp_path / "then", resume_from=tmp_path / "first/epoch_2.pth", **(before | now)
    )
    assert_same(brought, saved)


def test_moved_groups_keep_their_rates(tmp_path):
    """The weight decay of norms follows the config, also where groups are made anew."""
    train(tmp_path / "first", epochs=2, phases=None, optim=PLAIN, hooks=BY_NAME)
    runner, brought, rates = train(
        tmp_path / "then",
        resume_from=tmp_path / "first/epoch_2.pth",
        optim=NO_NORM_DECAY,
        phases=ALL,
    )
    assert brought["neck.neck.1.weight"][1] == 0.0
    assert brought["head.weight"][1] == 0.1
    assert rates == [1e-3] * 8
    assert runner.optim_wrapper.base_param_settings is None


class OtherHead(nn.Linear):
    """A linear layer with one more parameter."""

    def __init__(self) -> None:
        super().__init__(4, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return super().forward(x) * self.scale


def with_head(head):
    model = ToyDetector()
    model.head = head
    return model


REFUSED = {
    "another optimizer": (
        lambda: dict(optim=PLAIN | dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))),
        "of another kind than SGD: momentum",
    ),
    "another parameter": (
        lambda: dict(model=with_head(OtherHead())),
        r"1 parameters are only in this training \(head\.scale\)",
    ),
    "a parameter less": (
        lambda: dict(model=with_head(nn.Linear(4, 1, bias=False))),
        r"1 parameters are only in the checkpoint \(head\.bias\)",
    ),
    "another shape": (
        lambda: dict(model=with_head(nn.Linear(4, 2))),
        r"head\.weight has the shape \(2, 4\), in the checkpoint \(1, 4\)",
    ),
    "past metrics": (
        lambda: dict(param_scheduler=dict(type="ReduceOnPlateauLR", monitor="acc")),
        "ReduceOnPlateauLR follows past metrics",
    ),
}


@pytest.fixture(scope="module")
def plain_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    train(folder, epochs=1, phases=None, optim=PLAIN)
    return folder / "epoch_1.pth"


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tmp_path, plain_checkpoint, case):
    kwargs, message = REFUSED[case]
    options = dict(phases=None, optim=PLAIN) | kwargs()
    with pytest.raises(ValueError, match=rf"epoch_1\.pth: .*{message}.*load_from=\.\.\., without"):
        train(tmp_path, resume_from=plain_checkpoint, **options)


@pytest.mark.parametrize(
    ("kept", "lacking"),
    [
        (("state_dict",), r"meta\.epoch, meta\.iter, message_hub"),
        (("meta", "state_dict"), "message_hub"),
        ((), r"meta\.epoch, meta\.iter, message_hub"),
    ],
)
def test_weights_alone_are_refused(tmp_path, plain_checkpoint, kept, lacking):
    checkpoint = torch.load(plain_checkpoint, weights_only=False)
    path = tmp_path / "weights.pth"
    torch.save({key: checkpoint[key] for key in kept} or checkpoint["state_dict"], path)
    with pytest.raises(ValueError, match=rf"weights\.pth: it lacks {lacking}.*load_from=\.\.\., w"):
        train(tmp_path, resume_from=path, phases=None, optim=PLAIN)


def test_says_what_begins_anew(tmp_path, plain_checkpoint, capsys):
    checkpoint = torch.load(plain_checkpoint, weights_only=False)
    checkpoint["ema_state_dict"] = checkpoint.pop("optimizer")
    torch.save(checkpoint, tmp_path / "averaged.pth")
    train(tmp_path, resume_from=tmp_path / "averaged.pth", phases=None, optim=PLAIN)
    said = "".join(capsys.readouterr())
    assert "no state of the optimizer: momentum and the like begin anew" in said
    assert "with EMAHook, and this one has none: it goes on from the averaged" in said


OLD_PHASES = "phases = dict(head=dict(epochs=(1, None), lr=dict(head=1e-3)))\n"
HOOK = "default_hooks = dict(phases=dict(type='PhasedTrainingHook'))\n"
HEAD = [dict(name="head", epochs=(1, None), lr={"head": 1e-3})]


@pytest.mark.parametrize("now", [HEAD, ALL], ids=["same", "another first phase"])
def test_checkpoints_without_names_are_matched_by_their_config(tmp_path, now):
    first, _, _ = train(tmp_path / "first", epochs=2, phases=HEAD, optim=NO_NORM_DECAY)
    saved = by_name(first)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth", cfg=OLD_PHASES + HOOK)
    _, brought, _ = train(
        tmp_path / "then", resume_from=resume_from, phases=now, optim=NO_NORM_DECAY
    )
    assert_same(brought, saved)


def test_an_old_checkpoint_of_one_group_is_matched(tmp_path):
    first, _, _ = train(tmp_path / "first", epochs=2, phases=None, optim=PLAIN)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth")
    _, brought, _ = train(tmp_path / "then", resume_from=resume_from, phases=HEAD)
    assert_same(brought, by_name(first))


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (None, "holds no config"),
        ("phases = print(1)", "holds no config"),
        (HOOK, "that of shape .* does not fit"),
    ],
)
def test_an_old_checkpoint_of_unknown_order_is_refused(tmp_path, cfg, message):
    train(tmp_path / "first", epochs=2, phases=HEAD)
    resume_from = unnamed(tmp_path / "first/epoch_2.pth", cfg=cfg)
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "then", resume_from=resume_from, phases=ALL)


def test_our_configs_resume_by_name():
    runtime = Config.fromfile(Path(__file__).parents[3] / "configs/_base_/default_runtime.py")
    kinds = [HOOKS.get(hook["type"]) for hook in runtime.default_hooks.values()]
    assert any(issubclass(kind, ResumeByNameHook) for kind in kinds)
