"""Resume by the names of parameters, and by the schedule that the config has now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from derain_plugin.engine.hooks.named_optimizer_state import (
    NAMES,
    match_by_name,
    names_by_group,
    take_settings,
)
from derain_plugin.engine.hooks.schedule_progress import Progress, schedule_changes
from derain_plugin.engine.hooks.unnamed_optimizer_state import add_names_of_old


@HOOKS.register_module()
class ResumeByNameHook(Hook):
    """Let a resumed run go on with the optimizer state and the schedule that belong to it.

    mmengine loads the state of the optimizer by position and lets the attributes of the saved
    schedulers replace those of the config. Here

    - checkpoints name the parameters of the optimizer (torch's ``param_names``), and a state goes
      to the parameter of its name, in whatever order and groups the optimizer has them;
    - a state of other parameters, or of another kind of optimizer, is refused;
    - where schedulers or settings of the optimizer differ from the checkpoint's, those of the
      config count, with a warning: the rate is what it would be had the run followed the config
      from its first epoch. After 30 of 30 epochs resumed to 60, a cosine is at its half;
    - schedulers that the checkpoint lacks do not begin anew.

    Resuming with the config that wrote the checkpoint changes nothing, bit for bit. A checkpoint
    of an earlier version names no parameters: their order then follows from the config that it
    holds, or it is refused. :class:`PhasedTrainingHook` is such a hook.

    Raises:
        ValueError: At a resume from an optimizer state that does not fit.
    """

    _is_schedule_new = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Name the parameters of the optimizer beside their state.

        And leave out what is no data: a OneCycle's function holds all of its optimizer, which no
        safe loader reads.
        """
        for key, wrapper in _wrappers(runner):
            state = _part(checkpoint, "optimizer", key) or dict(param_groups=[])
            names = names_by_group(wrapper, _model(runner))
            for group, own in zip(state["param_groups"], names, strict=False):
                group[NAMES] = own
            for scheduler in _part(checkpoint, "param_schedulers", key) or []:
                for name in [name for name, value in scheduler.items() if callable(value)]:
                    del scheduler[name]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Prepare the optimizer state and the schedulers of ``checkpoint`` for this run."""
        if not runner._resume:
            return
        _require_progress(checkpoint, runner)
        if self is not _acting(runner):
            return
        _warn_if_complete(runner, checkpoint["meta"]["epoch"])
        _warn_of_averages(runner, checkpoint)
        for key, wrapper in _wrappers(runner):
            try:
                self._prepare(runner, checkpoint, key, wrapper)
            except ValueError as error:
                raise ValueError(
                    f"cannot resume from {runner._load_from or 'the last checkpoint'}: {error}. "
                    "Resume with the config that wrote it, or start from its weights with "
                    "--cfg-options load_from=..., without --resume"
                ) from error

    def _prepare(
        self, runner: Runner, checkpoint: dict, key: str | None, wrapper: OptimWrapper
    ) -> None:
        changes: list[str] = []
        state = _part(checkpoint, "optimizer", key)
        if state and "param_groups" not in state:
            raise ValueError(f"it holds several optimizers ({', '.join(state)}), this training one")
        if state:
            names = names_by_group(wrapper, _model(runner))
            add_names_of_old(state, checkpoint, _model(runner), names, phases=self._has_phases)
            weights = checkpoint.get("state_dict", {})
            known = dict(_model(runner).named_parameters())
            _require_same_shapes(weights, known)
            changes += match_by_name(state, wrapper, names, model=known, weights=weights)
            own = ("lr",) if self._has_phases else ()
            changes += take_settings(state, wrapper, skipping=own)
        else:
            runner.logger.warning(
                "The checkpoint has no state of the optimizer: momentum and the like begin anew"
            )
        schedulers = _schedulers(runner, key)
        saved = _part(checkpoint, "param_schedulers", key) or []
        changes += schedule_changes(schedulers, saved)
        if not changes and (state or not schedulers):
            return
        self._is_schedule_new = True
        progress = Progress(wrapper, schedulers, **_steps(runner, checkpoint["meta"]))
        _set_part(checkpoint, "param_schedulers", key, progress.states)
        _apply(progress, state, wrapper, schedulers)
        lr = (
            ""
            if self._has_phases
            else f" The learning rate goes on from {progress.groups[0]['lr']:.4g}."
        )
        if changes:
            runner.logger.warning(
                "What the config says differs from the checkpoint: "
                f"{'; '.join(changes)}. The config counts, as if this run had followed it from its "
                f"first epoch.{lr} To go on as before, give the config the checkpoint's values."
            )

    @property
    def _has_phases(self) -> bool:
        return bool(getattr(self, "phases", ()))


def _require_progress(checkpoint: Mapping, runner: Runner) -> None:
    """Refuse weights that do not say how far a training has come."""
    meta = checkpoint.get("meta") or {}
    absent = [f"meta.{name}" for name in ("epoch", "iter") if name not in meta]
    absent += [name for name in ("message_hub",) if name not in checkpoint]
    if absent:
        raise ValueError(
            f"cannot resume from {runner._load_from or 'the last checkpoint'}: it lacks "
            f"{', '.join(absent)}, so it is no checkpoint of a training, but weights. Start from "
            "them with --cfg-options load_from=..., without --resume"
        )


def _warn_of_averages(runner: Runner, checkpoint: Mapping) -> None:
    if "ema_state_dict" in checkpoint and not any(isinstance(h, EMAHook) for h in runner.hooks):
        runner.logger.warning(
            "The checkpoint is of a training with EMAHook, and this one has none: it goes on from "
            "the averaged weights"
        )


def _warn_if_complete(runner: Runner, epoch: int) -> None:
    loop = runner.train_loop
    if not isinstance(loop, IterBasedTrainLoop) and epoch >= loop.max_epochs:
        runner.logger.warning(
            f"Nothing is left to train: the checkpoint has done {epoch} epochs, and "
            f"train_cfg.max_epochs is {loop.max_epochs}. To train on, raise it, and the ends of "
            "param_scheduler with it"
        )


def _acting(runner: Runner) -> ResumeByNameHook:
    """The one that acts if there are several: it knows the phases, if there are any."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, ResumeByNameHook)]
    return next((hook for hook in hooks if hook._has_phases), hooks[0])


def _model(runner: Runner) -> nn.Module:
    model: Any = runner.model
    return model.module if is_model_wrapper(model) else model


def _wrappers(runner: Runner) -> Iterator[tuple[str | None, OptimWrapper]]:
    """The optimizers of a run, with the keys that mmengine saves several of them under."""
    wrapper = runner.optim_wrapper
    several = isinstance(wrapper, OptimWrapperDict)
    for key, item in wrapper.items() if several else [(None, wrapper)]:
        if isinstance(item, OptimWrapper):  # not DeepSpeed's
            yield key, item


def _schedulers(runner: Runner, key: str | None) -> list[_ParamScheduler]:
    schedulers: Any = runner.param_schedulers or []
    return list(schedulers[key] if isinstance(schedulers, dict) else schedulers)


def _part(checkpoint: dict, name: str, key: str | None) -> Any:
    part = checkpoint.get(name)
    return part if key is None or not part else part.get(key)


def _set_part(checkpoint: dict, name: str, key: str | None, value: Any) -> None:
    if key is None:
        checkpoint[name] = value
    else:
        checkpoint.setdefault(name, {})[key] = value


def _steps(runner: Runner, meta: dict) -> dict[str, Any]:
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return dict(steps=[meta["iter"]], by_epoch=False)
    return dict(steps=[len(runner.train_dataloader)] * meta["epoch"])


def _apply(
    progress: Progress,
    state: dict | None,
    wrapper: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
) -> None:
    """Set what schedulers drive; in the optimizer itself if no state will be loaded into it."""
    driven = {"lr"} | {scheduler.param_name for scheduler in schedulers}
    driven |= {f"initial_{name}" for name in driven} | {"betas"}
    base = [state["base_param_settings"]] if state and "base_param_settings" in state else []
    groups = state["param_groups"] + base if state else wrapper.param_groups
    for group, values in zip(groups, progress.groups, strict=True):
        group.update({name: values[name] for name in driven if name in values})


def _require_same_shapes(weights: Mapping, parameters: Mapping[str, nn.Parameter]) -> None:
    for name, parameter in parameters.items():
        saved = weights.get(name, parameter)
        if saved.shape != parameter.shape:
            raise ValueError(
                f"{name} has the shape {tuple(parameter.shape)}, "
                f"in the checkpoint {tuple(saved.shape)}"
            )
