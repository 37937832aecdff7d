"""Decoder and losses of the RT-DETR family as an mmdet head."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmdet.utils import reduce_mean
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from derain_plugin.models.rtdetr.config import rtdetr_config
from derain_plugin.models.rtdetr.family import decoder_channels, family_of

CLASS_LAYERS = ("denoising_class_embed", "enc_score_head", "class_embed", "enc_out_class_embed")
MEAN_LOSS = "loss_ddf"  # the one that is not divided by the number of boxes


@MODELS.register_module()
class RTDETRHead(BaseModule):
    """Query selection, denoising, decoder, losses and predictions (Zhao et al. 2023, section 4.3).

    RT-DETRv2 samples features in another way, and D-FINE (Peng et al. 2024) refines
    distributions of the box edges, with losses of its own; DEIMv2 (Huang et al. 2025) does so, too,
    and matches each box to what any decoder layer matched. RF-DETR (Robinson et al. 2025) and
    LW-DETR (Chen et al. 2024) have no denoising, but several groups of queries in training. The
    state-dict names are those of ``RTDetrForObjectDetection`` (and its kin) under ``detr.``. A
    checkpoint with another number of classes loads all but the class layers, and a log line says
    so.

    Args:
        num_classes: Number of foreground classes.
        arch: ``r18``, ``rtdetrv2_r18``, ``dfine_s``, ...; see :func:`rtdetr_config`.
        train_cfg: Not used; mmdet's detectors pass it to every head.
        test_cfg: ``max_per_img``, the number of predictions kept per image, default 300.
        init_cfg: mmengine initialisation, for example ``Pretrained``.
        **overrides: Fields of transformers' config (``num_queries``, ``weight_loss_giou``,
            ``matcher_class_cost``, ...); see :func:`rtdetr_config`.

    Attributes:
        in_channels: Channels expected from the neck, (256, 256, 256) for R18.

    Raises:
        ValueError: Unknown ``arch`` or field, or ``num_classes`` below 1.
    """

    def __init__(
        self,
        num_classes: int,
        arch: str = "r18",
        *,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        if "num_labels" in overrides:
            raise ValueError("set num_classes instead of num_labels")
        config = rtdetr_config(arch, num_labels=num_classes, **overrides)
        self.num_classes = num_classes
        self.in_channels = decoder_channels(config)
        self.max_per_img = (test_cfg or {}).get("max_per_img", 300)
        self.detr = family_of(config).decoder(config)
        self._reinitialised: list[str] = []
        self.register_load_state_dict_pre_hook(_fit_class_layers)
        self.register_load_state_dict_post_hook(_forgive_skipped_class_layers)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Give the last decoder layer's outputs.

        Args:
            feats: Tuple of ``(N, in_channels[i], H_i, W_i)`` from the neck.

        Returns:
            Logits ``(N, Q, C)`` and boxes ``(N, Q, 4)`` as cx, cy, w, h in 0-1.
        """
        outputs = self.detr(feats)
        return outputs.logits, outputs.pred_boxes

    def loss(self, feats: tuple[Tensor, ...], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute every loss term, weighted, under transformers' names.

        The terms are normalised by the mean number of boxes over the ranks (at least 1), as
        upstream does; transformers divides by the local number. D-FINE's distillation is a mean
        over queries and stays as it is. DEIMv2 divides some terms by its own number of matches:
        over ranks they are scaled by the boxes, about which that number is proportional.

        Args:
            feats: Tuple of ``(N, in_channels[i], H_i, W_i)`` from the neck.
            batch_data_samples: Samples with ``gt_instances`` (xyxy, px of the batch) and
                ``batch_input_shape``.

        Returns:
            ``loss_vfl``, ``loss_bbox``, ``loss_giou`` and their ``_aux_i`` and ``_dn_i``; with
            D-FINE ``loss_fgl`` (edge distributions) and ``loss_ddf`` (their distillation) of
            these as well. DEIMv2 has ``loss_mal`` for ``loss_vfl``. RF-DETR and LW-DETR have
            ``loss_ce``, ``loss_bbox``, ``loss_giou`` and their ``_i`` and ``_enc``.
        """
        labels = [_to_detr_target(sample) for sample in batch_data_samples]
        losses = self.detr.weighted(self.detr(feats, labels=labels).loss_dict)
        if self.detr.averages_boxes:
            return losses
        num_boxes = sum(len(label["boxes"]) for label in labels)
        mean_boxes = reduce_mean(feats[0].new_tensor(num_boxes, dtype=torch.float32))
        scale = max(num_boxes, 1) / mean_boxes.clamp(min=1)
        losses = {
            name: loss if name.startswith(MEAN_LOSS) else loss * scale
            for name, loss in losses.items()
        }
        if num_boxes == 0 and self.detr.config.num_denoising > 0:
            # Without boxes there is no denoising, and DDP waits for gradients of its embedding.
            unused = self.detr.model.denoising_class_embed.weight
            losses[self.detr.class_loss] = losses[self.detr.class_loss] + 0 * unused.sum()
        return losses

    def predict(
        self, feats: tuple[Tensor, ...], batch_data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """Give the ``max_per_img`` best of all queries and classes of each image; no NMS.

        Args:
            feats: Tuple of ``(N, in_channels[i], H_i, W_i)`` from the neck.
            batch_data_samples: Samples with ``batch_input_shape``, ``img_shape`` and
                ``scale_factor``.
            rescale: Whether boxes are in px of the original image, else of the network's input.

        Returns:
            Per image ``bboxes`` (K, 4; xyxy, clipped to the image), ``scores`` (K,), descending,
            and ``labels`` (K,).
        """
        boxes, scores, labels = self.select_best(*self(feats))
        return [
            InstanceData(
                bboxes=_to_pixels(box, sample.metainfo, rescale), scores=score, labels=label
            )
            for box, score, label, sample in zip(
                boxes, scores, labels, batch_data_samples, strict=True
            )
        ]

    def select_best(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the ``max_per_img`` best of all queries and classes, K at most.

        Args:
            logits: ``(N, Q, C)``.
            boxes: ``(N, Q, 4)`` as cx, cy, w, h in 0-1.

        Returns:
            Boxes ``(N, K, 4)`` as x1, y1, x2, y2 in 0-1, not clipped; scores ``(N, K)``, 0-1,
            descending; labels ``(N, K)``.
        """
        scores = logits.float().sigmoid().flatten(1)
        scores, index = scores.topk(min(self.max_per_img, scores.shape[1]), dim=1)
        query = (index // self.num_classes).unsqueeze(-1).expand(-1, -1, 4)
        best = bbox_cxcywh_to_xyxy(boxes.float().gather(1, query))
        return best, scores, index % self.num_classes


def _to_detr_target(sample: Any) -> dict[str, Tensor]:
    boxes = sample.gt_instances.bboxes
    height, width = sample.batch_input_shape
    size = boxes.new_tensor([width, height, width, height])
    return {
        "class_labels": sample.gt_instances.labels,
        "boxes": bbox_xyxy_to_cxcywh(boxes / size),
    }


def _to_pixels(boxes: Tensor, meta: dict[str, Any], rescale: bool) -> Tensor:
    batch_height, batch_width = meta["batch_input_shape"]
    height, width = meta["img_shape"][:2]
    boxes = boxes * boxes.new_tensor([batch_width, batch_height, batch_width, batch_height])
    boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
    if rescale:
        boxes = boxes / boxes.new_tensor(meta["scale_factor"]).repeat(2)
    return boxes


def _fit_class_layers(
    head: RTDETRHead, state_dict: dict[str, Tensor], prefix: str, metadata: dict[str, Any], *_: Any
) -> None:
    """Take class layers of another size apart: the rows that ``hf://`` names, or none."""
    head._reinitialised, rows = [], metadata.get("class_rows", ())
    taken = False
    for name, tensor in head.state_dict().items():
        saved = state_dict.get(prefix + name)
        is_class_layer = any(layer in name.split(".") for layer in CLASS_LAYERS)
        if not is_class_layer or saved is None or saved.shape == tensor.shape:
            continue
        if len(rows) == head.num_classes:
            state_dict[prefix + name], taken = saved[list(rows)], True
        else:
            head._reinitialised.append(prefix + name)
            del state_dict[prefix + name]
    if taken:
        print_log(f"Of the checkpoint's classes the {len(rows)} of COCO are taken", "current")
    if head._reinitialised:
        print_log(
            f"The checkpoint has another number of classes than {head.num_classes}; these layers "
            f"keep their fresh initialisation: {', '.join(head._reinitialised)}",
            logger="current",
        )


def _forgive_skipped_class_layers(head: RTDETRHead, incompatible_keys: Any) -> None:
    for name in head._reinitialised:
        if name in incompatible_keys.missing_keys:
            incompatible_keys.missing_keys.remove(name)
