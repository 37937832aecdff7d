"""Training in phases: what trains, and how fast, follows from the epoch."""

from collections.abc import Mapping
from typing import Any

from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.model import MMSeparateDistributedDataParallel, is_model_wrapper
from mmengine.optim import (
    BaseOptimWrapper,
    OneCycleParamScheduler,
    OptimWrapper,
    OptimWrapperDict,
    ReduceOnPlateauParamScheduler,
)
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from derain_plugin.engine.hooks.phase import (
    Phase,
    Phases,
    check_patterns,
    epochs_that_fit,
    parse_phases,
)
from derain_plugin.engine.hooks.phase_rates import PhaseRates
from derain_plugin.engine.hooks.resume_by_name_hook import ResumeByNameHook


@HOOKS.register_module()
class PhasedTrainingHook(ResumeByNameHook):
    """Train different parts of a model at different rates in successive phases.

    The phase follows from ``runner.epoch`` alone, so a resumed run does what an
    uninterrupted one does. While a parameter is frozen it has
    ``requires_grad=False`` and no gradient, so the optimizer neither steps nor
    decays it. A norm layer with running statistics follows its own parameters
    (one without parameters: the pattern that covers its name) and is in eval
    mode while it is frozen. Other layers keep their mode, dropout in frozen
    modules included. What the model froze itself (``frozen_stages``, frozen
    BatchNorm) stays frozen in every phase.

    A phase starts with fresh optimizer state and without gradients left over
    from accumulation, which it counts anew. Its rates are multiplied by
    ``lr_mult`` of ``paramwise_cfg`` and the factor of ``auto_scale_lr``;
    schedulers act on the result as described in :meth:`PhaseRates.apply`.
    Logs show the rate of each pattern as ``<pattern>_lr``, 0 meaning frozen.

    Under DDP the model is wrapped anew at each phase start, since a wrapper
    synchronises just those parameters that trained when it was built. Buffers
    are mmengine's business as ever: during an epoch the statistics of BatchNorm
    that trains differ between ranks (see ``sync_bn``), and ``SyncBuffersHook``
    of the shipped configs averages them at its end.

    The phases stand in the config itself, as ``derain_phases.py`` has them, where
    a child config or a command line can change one number of one phase, or the
    length::

        --cfg-options phases.joint.lr.neck.derain=2e-4
        --cfg-options train_cfg.max_epochs=8  # where the last phase has no end

    The optimizer must have one group per parameter, as
    ``optim_wrapper=dict(constructor='PhasedOptimWrapperConstructor')`` builds it.

    Args:
        phases: By name, the other arguments of each :class:`Phase`; or a list
            of dicts of all of them; or None for the config's own ``phases``. Without any, or
            beside a hook that was given some, it does nothing.
            They must follow each other and cover exactly
            ``train_cfg.max_epochs``; the last may be open: ``epochs=(6, None)``.

    Raises:
        ValueError: At the start of training for epochs that are missing, claimed
            twice or too many, and for patterns that train nothing.
        TypeError: At the start of training for what has no defined meaning with
            phases: several optimizers, schedulers that set absolute rates
            (OneCycle) or count metrics (ReduceOnPlateau), wrappers like FSDP.

    Example:
        >>> hook = PhasedTrainingHook(
        ...     phases=dict(
        ...         derain=dict(epochs=(1, 5), lr={"neck.derain": 5e-4}),
        ...         joint=dict(epochs=(6, None), lr={"neck.derain": 1e-4, "*": 1e-5}),
        ...     )
        ... )
        >>> hook.phase_at(6).name
        'joint'
    """

    def __init__(self, phases: Phases | None = None) -> None:
        self._configs = phases
        self._is_own = phases is not None
        self.phases = parse_phases(phases) if phases is not None else ()
        self._phase: Phase | None = None
        self._rates: PhaseRates
        self._trainable: dict[str, nn.Parameter] = {}
        self._frozen_norms: list[nn.Module] = []

    def phase_at(self, epoch: int) -> Phase:
        """The phase of an epoch, counted from 1."""
        return next(
            item for item in self.phases if epoch <= (item.last_epoch or epoch)
        )  # they follow each other from epoch 1 on

    def before_run(self, runner: Runner) -> None:
        """Check the phases against the run and prepare the optimizer for all of them."""
        # Runner.val and Runner.test come by here too, before or after a training.
        if self._trainable or not isinstance(runner.optim_wrapper, BaseOptimWrapper):
            return
        self._read(runner)
        if not self.phases:
            return
        _check_support(runner)
        self._check_length(runner)
        model = _unwrapped(runner.model)
        model.train()  # some backbones freeze their stages only here
        every = dict(model.named_parameters())
        self._trainable = {name: item for name, item in every.items() if item.requires_grad}
        check_patterns(self.phases, trainable=self._trainable, every=list(every))
        self._check_optimizer(runner.optim_wrapper)
        self._rates = PhaseRates(
            runner.optim_wrapper,
            runner.param_schedulers or [],
            phases=self.phases,
            names={parameter: name for name, parameter in self._trainable.items()},
        )

    def _read(self, runner: Runner) -> None:
        """Take the config's phases, unless there is a hook with phases of its own."""
        hooks = [hook for hook in runner.hooks if isinstance(hook, PhasedTrainingHook)]
        own = [hook for hook in hooks if hook._is_own]
        if len(own) > 1:
            raise ValueError(f"There are {len(own)} PhasedTrainingHooks with phases: leave one")
        self._path = _path_in(runner.cfg) if self._is_own else "phases"
        if self is (own or hooks)[0] and not self._is_own:
            self._configs = runner.cfg.get("phases")
            self.phases = parse_phases(self._configs) if self._configs is not None else ()

    def _check_length(self, runner: Runner) -> None:
        last, max_epochs = self.phases[-1], runner.max_epochs
        if last.last_epoch is None and last.first_epoch <= max_epochs:
            return
        if last.last_epoch == max_epochs:
            return
        epoch = last.last_epoch or f"{last.first_epoch} or later"
        raise ValueError(
            f"The phases end with epoch {epoch}, but train_cfg.max_epochs is {max_epochs}; "
            f"add --cfg-options {self._overrides_for(runner)}"
        )

    def _overrides_for(self, runner: Runner) -> str:
        """Return the options that let the phases fit ``train_cfg.max_epochs``."""
        max_epochs = max(runner.max_epochs, len(self.phases))
        names = [phase.name for phase in self.phases]
        by_name = isinstance(self._configs, Mapping)
        overrides = [
            f"{self._path}.{name if by_name else names.index(name)}.epochs={first},{last}"
            for name, (first, last) in epochs_that_fit(self.phases, max_epochs).items()
        ]
        if max_epochs > runner.max_epochs:
            overrides.insert(0, f"train_cfg.max_epochs={max_epochs}")
        return " ".join(overrides)

    def _check_optimizer(self, optim_wrapper: OptimWrapper) -> None:
        known = {item for group in optim_wrapper.optimizer.param_groups for item in group["params"]}
        missing = [name for name, item in self._trainable.items() if item not in known]
        if missing:
            raise ValueError(
                f"The optimizer was built without {missing[:3]} and so could never train them "
                f"({len(missing)} in all); give it every parameter that requires a gradient"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Enter a phase at its first epoch, and the present one when resuming."""
        if not self.phases:
            return
        epoch = runner.epoch + 1
        phase = self.phase_at(epoch)
        if phase is not self._phase:
            self._phase = phase
            self._enter(runner, phase, restart=epoch == phase.first_epoch)

    def _enter(self, runner: Runner, phase: Phase, *, restart: bool) -> None:
        for name, parameter in self._trainable.items():
            parameter.requires_grad_(phase.pattern_of(name) is not None)
            parameter.grad = None
        if restart:
            runner.optim_wrapper.optimizer.state.clear()
        done = (phase.first_epoch - 1) * len(runner.train_dataloader)
        self._rates.apply(
            phase,
            epochs=phase.first_epoch - 1,
            iterations=runner.iter if restart else done,
            restart=restart or self._is_schedule_new,
        )
        if _is_ddp(runner.model):
            _wrap_anew(runner)
        self._frozen_norms = _frozen_norms(_unwrapped(runner.model), phase)
        runner.optim_wrapper.initialize_count_status(
            runner.model, runner.iter - done, runner.max_iters - done
        )
        self._log(runner, phase)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Keep frozen norm layers frozen, and record the rates for the log."""
        if not self.phases:
            return
        # Not once per epoch: the loop calls model.train() after before_train_epoch.
        for norm in self._frozen_norms:
            norm.eval()
        for pattern, rate in self._rates.by_pattern().items():
            runner.message_hub.update_scalar(f"train/{pattern}_lr", rate)

    def _log(self, runner: Runner, phase: Phase) -> None:
        parameters = list(_unwrapped(runner.model).parameters())
        training = [item for item in parameters if item.requires_grad]
        present = self._rates.by_pattern()
        rates = ", ".join(f"{pattern} at {present[pattern]:.3g}" for pattern in phase.lr)
        runner.logger.info(
            f"Phase {self.phases.index(phase) + 1}/{len(self.phases)} {phase.name!r}, epochs "
            f"{phase.span}: {len(training)} of {len(parameters)} "
            f"parameters train ({sum(item.numel() for item in training):,} values), "
            f"{len(parameters) - len(training)} are frozen; learning rates: {rates}"
        )


def _path_in(cfg: Config) -> str:
    """Where a config gives the hook its phases, as ``--cfg-options`` name it."""
    hooks = {f"custom_hooks.{n}": hook for n, hook in enumerate(cfg.get("custom_hooks") or [])}
    hooks |= {f"default_hooks.{n}": hook for n, hook in (cfg.get("default_hooks") or {}).items()}
    for path, hook in hooks.items():
        if isinstance(hook, Mapping) and hook.get("phases") is not None:
            return f"{path}.phases"
    return "phases"


def _unwrapped(model: Any) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _is_ddp(model: nn.Module) -> bool:
    """Whether one DDP wrapper holds the whole model."""
    separate = isinstance(model, MMSeparateDistributedDataParallel)
    return isinstance(model, DistributedDataParallel) and not separate


def _check_support(runner: Runner) -> None:
    if isinstance(runner.optim_wrapper, OptimWrapperDict):
        raise TypeError("Phases need a single optimizer, got an OptimWrapperDict")
    if not isinstance(runner.optim_wrapper, OptimWrapper):
        raise TypeError(
            f"Phases change the optimizer of an OptimWrapper, got {type(runner.optim_wrapper)}; "
            "train with mmengine's Runner, not with DeepSpeed or ColossalAI"
        )
    for scheduler in runner.param_schedulers or []:
        if isinstance(scheduler, OneCycleParamScheduler | ReduceOnPlateauParamScheduler):
            raise TypeError(
                f"{type(scheduler).__name__} does not scale a base rate by the step alone, so it "
                "cannot follow phases; use another scheduler"
            )
    if is_model_wrapper(runner.model) and not (
        _is_ddp(runner.model) and isinstance(runner, Runner)
    ):
        raise TypeError(
            f"Phases cannot wrap the model anew in {type(runner.model).__name__} of a "
            f"{type(runner).__name__}; use MMDistributedDataParallel and mmengine's Runner"
        )


def _wrap_anew(runner: Runner) -> None:
    runner.model = runner.wrap_model(runner.cfg.get("model_wrapper_cfg"), runner.model.module)
    # Runner compiles a method of the wrapper, which the new one does not have yet. It has no
    # public name for that; DDP itself would synchronise all parameters only if told to look for
    # unused ones in every iteration.
    runner._maybe_compile("train_step")


def _frozen_norms(model: nn.Module, phase: Phase) -> list[nn.Module]:
    """Norm layers that must neither update nor replace their running statistics."""
    frozen = []
    for name, module in model.named_modules():
        # Any class: SyncBatchNorm of mmcv is not one of torch's.
        if getattr(module, "running_mean", None) is None:
            continue
        own = list(module.parameters(recurse=False))
        trains = any(item.requires_grad for item in own) if own else phase.pattern_of(name)
        if not trains:
            frozen.append(module)
    return frozen
