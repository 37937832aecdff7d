"""The part of a detector that de-rains, so that it can be taken out or run by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn

from derain_plugin.models.data_preprocessors import PixelDerainDataPreprocessor
from derain_plugin.models.necks import DerainNeck


class DerainPart:
    """A child module that can be replaced for a while.

    Args:
        parent: What holds it.
        name: Its name there.
        module: The module that de-rains: the child or a part of it.
        substitute: Takes the child's place when de-raining is left out.
    """

    def __init__(
        self, parent: nn.Module, name: str, *, module: nn.Module, substitute: nn.Module
    ) -> None:
        self.module: Any = module
        self._parent, self._name = parent, name
        self._present, self._substitute = getattr(parent, name), substitute

    @property
    def computing(self) -> list[nn.Module]:
        """Modules to compile for runs without the part, and for the part by itself."""
        return [self.module, self._substitute]

    def taken_out(self) -> AbstractContextManager:
        """Leave de-raining out."""
        return self._replaced_by(self._substitute)

    @contextmanager
    def _replaced_by(self, substitute: nn.Module) -> Iterator[None]:
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

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that de-rains the features that ``model`` finds in ``batch``."""
        given: list[tuple] = []
        handle = self.module.register_forward_pre_hook(lambda _, args: given.append(args))
        model.test_step(batch)
        handle.remove()
        (feats,) = given[0]
        return lambda: self.module(feats)


class RestorerPart(DerainPart):
    """The restorer of a ``PixelDerainDataPreprocessor``; without it pictures pass as they are."""

    def __init__(self, preprocessor: PixelDerainDataPreprocessor) -> None:
        restorer = preprocessor.restorer
        super().__init__(preprocessor, "restorer", module=restorer, substitute=_Unrestored())

    def alone(self, model: Any, batch: dict) -> Any:
        """Return a function that restores the pictures of ``batch``, one at a time."""
        listener = _Listener()
        with self._replaced_by(listener):
            model.test_step(batch)
        return lambda: [self.module.restore(picture) for picture in listener.given]


class _Unrestored(nn.Module):
    def restore(self, images: Tensor) -> Tensor:
        return images


class _Listener(_Unrestored):
    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def restore(self, images: Tensor) -> Tensor:
        self.given.append(images)
        return images


def find_part(model: nn.Module) -> NeckPart | RestorerPart | None:
    """Return the de-rain part of a detector, if it has one.

    Raises:
        ValueError: It has several.
    """
    parts: list[Any] = []
    for parent in model.modules():
        if isinstance(parent, PixelDerainDataPreprocessor):
            parts.append(RestorerPart(parent))
        for name, child in parent.named_children():
            if isinstance(child, DerainNeck):
                parts.append(NeckPart(parent, name, child))
    if len(parts) > 1:
        raise ValueError(
            f"this {type(model).__name__} has several de-rain parts: "
            f"{', '.join(type(part.module).__name__ for part in parts)}; benchmark them one by one"
        )
    return parts[0] if parts else None
