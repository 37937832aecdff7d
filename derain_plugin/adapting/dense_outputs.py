"""What the heads of detectors say before anything is selected, in one form for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads import CornerHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import DeformableDETR, SingleStageDetector, TwoStageDetector
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn

from derain_plugin.models.rtdetr.parts import has_projector

PROPOSALS = 100  # per image: the teacher's best, on which a two-stage head is compared


class DenseOutput(NamedTuple):
    """The raw outputs of one head, one row per anchor, location, encoder token or proposal.

    Attributes:
        logits: ``(N, L, C)`` of the classes; with ``is_softmax`` the last one is the background.
        boxes: ``(N, L, B)``, in whatever the head regresses.
        quality: ``(N, L, 1)``, logits of objectness or centerness, where a head has them.
        is_softmax: Whether the classes exclude each other.
    """

    logits: Tensor
    boxes: Tensor
    quality: Tensor | None = None
    is_softmax: bool = False

    @property
    def confidence(self) -> Tensor:
        """How sure the head is of an object, ``(N, L)``, 0-1."""
        logits = self.logits.float()
        if self.is_softmax:
            return logits.softmax(-1)[..., :-1].amax(-1)
        scores = logits.amax(-1).sigmoid()
        return scores if self.quality is None else scores * self.quality.float().sigmoid()[..., 0]


@dataclass(frozen=True)
class Kind:
    """A kind of detector: how its heads are asked.

    Attributes:
        name: What people call it.
        fits: Whether a model is of this kind.
        outputs: Gives the outputs from the model, the features after its neck and the context.
        context: Gives from the model, the teacher's features and the data samples what both
            passes share, such as proposals.
    """

    name: str
    fits: Callable[[Any], bool]
    outputs: Callable[[Any, Sequence[Tensor], Any], list[DenseOutput]]
    context: Callable[[Any, Sequence[Tensor], Any], Any] = lambda model, feats, samples: samples


def kind_of(model: nn.Module) -> Kind:
    """Return the kind of a detector; one whose heads are not known is compared by features."""
    return next(kind for kind in KINDS if kind.fits(model))


def transformers_in(model: Any) -> Any:
    """Return the ``model`` of transformers' detector inside one of theirs, or of ours, or None."""
    detector = getattr(getattr(model, "bbox_head", None), "detr", getattr(model, "rtdetr", model))
    return getattr(detector, "model", None)


def _encoder_tokens(model: Any, feats: Sequence[Tensor], _: Any) -> list[DenseOutput]:
    # The queries that the decoder gets are selected from these, and may differ between passes.
    rtdetr = transformers_in(model)
    levels = [proj(feat) for proj, feat in zip(rtdetr.decoder_input_proj, feats, strict=False)]
    tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
    memory = rtdetr.enc_output(tokens)
    return [DenseOutput(rtdetr.enc_score_head(memory), rtdetr.enc_bbox_head(memory))]


def _first_group(model: Any, feats: Sequence[Tensor], _: Any) -> list[DenseOutput]:
    detr, shapes = transformers_in(model), [feat.shape[-2:] for feat in feats]
    tokens = torch.cat([feat.flatten(2).transpose(1, 2) for feat in feats], 1)
    is_padding = torch.zeros_like(tokens[..., 0], dtype=torch.bool)
    inside, _, _ = detr.gen_encoder_output_proposals(tokens, is_padding, shapes)
    memory = detr.enc_output_norm[0](detr.enc_output[0](inside))
    return [DenseOutput(detr.enc_out_class_embed[0](memory), detr.enc_out_bbox_embed[0](memory))]


def _two_stage_detr(model: Any, feats: Sequence[Tensor], samples: Any) -> list[DenseOutput]:
    inputs, _ = model.pre_transformer(feats, samples)
    memory, last = model.forward_encoder(**inputs), model.decoder.num_layers
    tokens, _ = model.gen_encoder_output_proposals(
        memory["memory"], memory["memory_mask"], memory["spatial_shapes"]
    )
    head = model.bbox_head
    return [DenseOutput(head.cls_branches[last](tokens), head.reg_branches[last](tokens))]


def _one_stage(model: Any, feats: Sequence[Tensor], _: Any) -> list[DenseOutput]:
    return [_of_levels(model.bbox_head, model.bbox_head(feats))]


def _of_levels(head: Any, outputs: Sequence[Sequence[Tensor]]) -> DenseOutput:
    """Join the levels: classes, boxes and perhaps a quality, each ``(N, A * K, H, W)``."""
    anchors = getattr(head, "num_base_priors", 1)
    counts = anchors if isinstance(anchors, list) else [anchors] * len(outputs[0])
    joined = [torch.cat(list(map(_rows, part, counts)), 1) for part in outputs[:3]]
    if len(joined) == 1:  # YOLOv3 has box, objectness and classes in one
        boxes, objectness, logits = joined[0].tensor_split((4, 5), dim=-1)
        return DenseOutput(logits, boxes, objectness)
    quality = joined[2] if len(joined) > 2 and joined[2].shape[-1] == 1 else None
    is_softmax = not getattr(head, "use_sigmoid_cls", True)
    return DenseOutput(joined[0], joined[1], quality, is_softmax)


def _rows(level: Tensor, anchors: int) -> Tensor:
    rows = level.unflatten(1, (anchors, -1)).permute(0, 3, 4, 1, 2)  # (N, H, W, A, K)
    return rows.flatten(1, 3)


def _two_stage(model: Any, feats: Sequence[Tensor], rois: Tensor) -> list[DenseOutput]:
    outputs = [_of_levels(model.rpn_head, model.rpn_head(feats))]
    if hasattr(model.roi_head, "_bbox_forward") and isinstance(model.roi_head.bbox_head, nn.Module):
        found = _of_proposals(model.roi_head, feats, rois)
        outputs += [found] if found is not None else []
    return outputs


def _of_proposals(roi_head: Any, feats: Sequence[Tensor], rois: Tensor) -> DenseOutput | None:
    # A cascade compares its first stage: later ones have proposals of their own.
    is_cascade = isinstance(roi_head.bbox_head, nn.ModuleList)
    found = roi_head._bbox_forward(*([0] if is_cascade else []), tuple(feats), rois)
    logits, boxes = found["cls_score"], found["bbox_pred"]
    return DenseOutput(logits[None], boxes[None], is_softmax=True) if len(rois) else None


def _proposals(model: Any, feats: Sequence[Tensor], samples: Any) -> Tensor:
    found = model.rpn_head.predict(tuple(feats), samples, rescale=False)
    return bbox2roi([each.bboxes[:PROPOSALS] for each in found])


def _is_one_stage(model: Any) -> bool:
    head = getattr(model, "bbox_head", None)
    is_dense = isinstance(head, BaseDenseHead) and not isinstance(head, CornerHead)  # no boxes
    return isinstance(model, SingleStageDetector) and is_dense


# The first that fits counts.
KINDS: tuple[Kind, ...] = (
    Kind(
        "RT-DETR",
        lambda model: hasattr(transformers_in(model), "enc_score_head"),
        _encoder_tokens,
    ),
    Kind("LW-DETR", lambda model: has_projector(transformers_in(model)), _first_group),
    Kind(
        "two-stage DETR",
        lambda model: isinstance(model, DeformableDETR) and model.as_two_stage,
        _two_stage_detr,
    ),
    Kind(
        "two-stage",
        lambda model: isinstance(model, TwoStageDetector) and model.with_rpn,
        _two_stage,
        _proposals,
    ),
    Kind("one-stage", _is_one_stage, _one_stage),
    Kind("other", lambda model: True, lambda model, feats, context: []),
)
