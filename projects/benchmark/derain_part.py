"""The part of a detector that de-rains, so that it can be taken out or run by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from derain_plugin.models.backbones import RTDETRBackbone
from derain_plugin.models.data_preprocessors import PixelDerainDataPreprocessor
from derain_plugin.models.necks import DerainNeck


class DerainPart:
    """A child module that can be replaced for a while.

    Args:
        parent: What holds it.
        name: Its name there.
        module: The module that de-rains: the child or a part of it.
        substitute: Replaces the child when de-raining is left out.

    Attributes:
        module: The module that de-rains.
        title: Class name of the module, for people.
    """

    def __init__(
        self, parent: nn.Module, name: str, *, module: nn.Module, substitute: nn.Module | None
    ) -> None:
        self.module: Any = module
        self.title = type(module).__name__
        self._parent, self._name = parent, name
        self._present, self._substitute = getattr(parent, name), substitute

    @property
    def computing(self) -> list[nn.Module]:
        """Modules to compile for runs without the part, and for the part by itself."""
        return [part for part in (self.module, self._substitute) if part is not None]

    def taken_out(self) -> AbstractContextManager:
        """Leave de-raining out."""
        return self._replaced_by(self._substitute)

    @contextmanager
    def _replaced_by(self, substitute: nn.Module | None) -> Iterator[None]:
        # Not setattr: a detector would register the neck's loading hooks again each time.
        self._parent._modules[self._name] = substitute
        try:
            yield
        finally:
            self._parent._modules[self._name] = self._present


class NeckPart(DerainPart):
    """The de-rain neck in a ``DerainNeck``; without it the inner neck takes the features."""

    def __init__(self, parent: nn.Module, name: str, neck: DerainNeck) -> None:
        super().__init__(parent, name, module=neck.derain, substitute=neck.neck)

    @contextmanager
    def timed(self) -> Iterator[list[float]]:
        """Note the milliseconds of each call of the neck; on the CPU, where a call waits."""
        starts: list[float] = []
        found: list[float] = []
        handles = (
            self.module.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter())),
            self.module.register_forward_hook(
                lambda *_: found.append(1000 * (time.perf_counter() - starts.pop()))
            ),
        )
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that de-rains the features that ``model`` finds in ``batch``."""
        ((feats,),) = _inputs_of(self.module, model, batch)
        return lambda: self.module(feats)


class EarlyPart(DerainPart):
    """The early blocks of an ``RTDETRBackbone``; without them it is transformers' backbone."""

    def __init__(self, backbone: RTDETRBackbone) -> None:
        super().__init__(backbone, "derain", module=backbone.derain, substitute=None)

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that judges and cleans the maps that ``model`` finds in ``batch``."""
        calls = _inputs_of(self.module, model, batch)

        def clean() -> list:
            logits = self.module.rain_logits(calls[0][0])
            return [self.module(feat, stage, logits) for feat, stage, _ in calls]

        return clean


class RestorerPart(DerainPart):
    """The restorer of a ``PixelDerainDataPreprocessor``; without it images pass as they are."""

    def __init__(self, preprocessor: PixelDerainDataPreprocessor) -> None:
        restorer = preprocessor.restorer
        super().__init__(preprocessor, "restorer", module=restorer, substitute=_Unrestored())

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that restores the images of ``batch``, one at a time."""
        listener = _Listener()
        with self._replaced_by(listener):
            model.test_step(batch)
        return lambda: [self.module.restore(image) for image in listener.images]


def _inputs_of(module: nn.Module, model: Any, batch: dict) -> list[tuple]:
    """Return the arguments of each call of ``module`` while ``model`` detects in ``batch``."""
    calls: list[tuple] = []
    handle = module.register_forward_pre_hook(lambda _, args: calls.append(args))
    model.test_step(batch)
    handle.remove()
    return calls


class _Unrestored(nn.Module):
    def restore(self, images: Tensor) -> Tensor:
        return images


class _Listener(_Unrestored):
    def __init__(self) -> None:
        super().__init__()
        self.images: list[Tensor] = []

    def restore(self, images: Tensor) -> Tensor:
        self.images.append(images)
        return images


class SeveralParts:
    """Parts of different kinds that de-rain together: early blocks and a neck.

    Args:
        parts: In the order in which an image meets them.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.module = nn.ModuleList(part.module for part in parts)
        self.title = " + ".join(part.title for part in parts)
        self.computing = [module for part in parts for module in part.computing]
        self._parts = parts

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        """Leave all of them out."""
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.taken_out())
            yield

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that runs one after the other on what ``model`` gives each."""
        runs = [part.alone(model, batch) for part in self._parts]
        return lambda: [run() for run in runs]


def find_part(model: nn.Module) -> Any:
    """Return what de-rains in a detector: a part, several as one, or None.

    Raises:
        ValueError: It has several of a kind.
    """
    parts: list[Any] = []
    for parent in model.modules():
        if isinstance(parent, PixelDerainDataPreprocessor):
            parts.append(RestorerPart(parent))
        if isinstance(parent, RTDETRBackbone) and parent.derain is not None:
            parts.append(EarlyPart(parent))
        for name, child in parent.named_children():
            if isinstance(child, DerainNeck):
                parts.append(NeckPart(parent, name, child))
    if len({type(part) for part in parts}) < len(parts):
        raise ValueError(
            f"this {type(model).__name__} has several de-rain parts of a kind: "
            f"{', '.join(part.title for part in parts)}; benchmark them one by one"
        )
    parts.sort(key=lambda part: (RestorerPart, EarlyPart, NeckPart).index(type(part)))
    return SeveralParts(parts) if len(parts) > 1 else next(iter(parts), None)
