"""Upstream's initialisation for transformers' modules of the RT-DETR family.

transformers draws BatchNorm weights, convolutions and linears from N(0, 0.01), which is of no
matter when weights are loaded but leaves a detector trained from scratch nearly still. Sources:
https://github.com/lyuwenyu/RT-DETR/blob/94f5e16708329d2f2716426868ec89aa774af016/rtdetr_pytorch/src/zoo/rtdetr/rtdetr_decoder.py
https://github.com/lyuwenyu/RT-DETR/blob/366ce5109af5b8c76ef8e86d827672045032dcab/rtdetrv2_pytorch/src/zoo/rtdetr/rtdetrv2_decoder.py
https://github.com/Peterande/D-FINE/blob/0eb0cfe773be10875d338ccfbea7ae418fd7e760/src/zoo/dfine/dfine_decoder.py
https://github.com/Atten4Vis/LW-DETR/blob/7141c43088944371b2acbf450da2c6da546261c9/models/lwdetr.py
DEIMv2's decoder starts as D-FINE's, and RF-DETR's as LW-DETR's. A DINOv3 or another ViT starts as
transformers has it, which is Meta's way.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers.models.d_fine import modeling_d_fine as dfine
from transformers.models.deimv2 import modeling_deimv2 as deimv2
from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTBackbone
from transformers.models.lw_detr import modeling_lw_detr as lwdetr
from transformers.models.rf_detr import modeling_rf_detr as rfdetr
from transformers.models.rt_detr import modeling_rt_detr as v1
from transformers.models.rt_detr_v2 import modeling_rt_detr_v2 as v2

CLASS_PRIOR = 0.01

SELF_ATTENTIONS = (
    v1.RTDetrSelfAttention,
    v2.RTDetrV2SelfAttention,
    dfine.DFineSelfAttention,
    deimv2.Deimv2SelfAttention,
)
SAMPLING_ATTENTIONS = (  # without projections
    dfine.DFineMultiscaleDeformableAttention,
    deimv2.Deimv2MultiscaleDeformableAttention,
)
DEFORMABLE_ATTENTIONS = (
    v1.RTDetrMultiscaleDeformableAttention,
    v2.RTDetrV2MultiscaleDeformableAttention,
    lwdetr.LwDetrMultiscaleDeformableAttention,
    rfdetr.RfDetrMultiscaleDeformableAttention,
    *SAMPLING_ATTENTIONS,
)
MODELS = (v1.RTDetrModel, v2.RTDetrV2Model, dfine.DFineModel, deimv2.Deimv2Model)
REFINING_DECODERS = (dfine.DFineDecoder, deimv2.Deimv2Decoder)  # of distributions of the edges
DECODERS = (v1.RTDetrDecoder, v2.RTDetrV2Decoder, *REFINING_DECODERS)
GATES = (dfine.DFineGate, deimv2.Deimv2Gate)
GROUPED_MODELS = (lwdetr.LwDetrModel, rfdetr.RfDetrModel)
GROUPED_DETECTORS = (lwdetr.LwDetrForObjectDetection, rfdetr.RfDetrForObjectDetection)
VITS = (DINOv3ViTBackbone, lwdetr.LwDetrViTBackbone, rfdetr.RfDetrDinov2Backbone)
QUALITIES = (dfine.DFineLQE, deimv2.Deimv2LQE)


@torch.no_grad()
def init_like_upstream(module: nn.Module) -> None:
    """Initialise a module of the RT-DETR family, or any part of one, in place.

    Every leaf gets torch's default; then attention projections are Xavier, the sampling offsets
    a grid, class biases the logit of a prior of 0.01, and the last layer of each box head zero.
    D-FINE's gates start half open, and its estimates of box quality at zero.
    """
    _reset_leaves(module)
    for part in module.modules():
        if isinstance(part, SELF_ATTENTIONS):
            _init_self_attention(part)
        elif isinstance(part, DEFORMABLE_ATTENTIONS):
            _init_deformable_attention(part)
        elif isinstance(part, MODELS):
            _init_query_selection(part)
        elif isinstance(part, DECODERS):
            _init_decoder(part)
        elif isinstance(part, GROUPED_MODELS):
            _init_groups(part)
        elif isinstance(part, GROUPED_DETECTORS):
            _init_class_head(part.class_embed)
            _zero(part.bbox_embed.layers[-1])
        elif isinstance(part, GATES):
            _zero(part.gate)
        elif isinstance(part, QUALITIES):
            _zero(part.reg_conf.layers[-1])
        elif isinstance(part, deimv2.Deimv2SwiGLUFFN):
            _init_gated_layers(part)


def _reset_leaves(module: nn.Module) -> None:
    if isinstance(module, VITS):
        return
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
    for child in module.children():
        _reset_leaves(child)


def _init_gated_layers(layers: Any) -> None:
    for layer in (layers.gate_proj, layers.up_proj, layers.down_proj):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def _init_self_attention(attention: Any) -> None:
    # torch's MultiheadAttention draws the three stacked as one (3C, C) matrix.
    for proj in (attention.q_proj, attention.k_proj, attention.v_proj):
        nn.init.xavier_uniform_(proj.weight, gain=math.sqrt(0.5))
        nn.init.zeros_(proj.bias)
    nn.init.zeros_(attention.o_proj.bias)


def _init_deformable_attention(attention: Any) -> None:
    heads = attention.n_heads
    angles = torch.arange(heads, dtype=torch.float32) * (2 * math.pi / heads)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    directions /= directions.abs().amax(-1, keepdim=True)
    radii = torch.cat([torch.arange(1.0, points + 1) for points in _points_per_level(attention)])
    grid = directions[:, None] * radii[:, None]  # (heads, levels * points, 2)
    attention.sampling_offsets.bias.copy_(grid.reshape(-1))
    nn.init.zeros_(attention.sampling_offsets.weight)
    _zero(attention.attention_weights)
    if isinstance(attention, SAMPLING_ATTENTIONS):
        return
    for proj in (attention.value_proj, attention.output_proj):
        nn.init.xavier_uniform_(proj.weight)
        nn.init.zeros_(proj.bias)


def _points_per_level(attention: Any) -> list[int]:
    if isinstance(attention, SAMPLING_ATTENTIONS):
        return attention.num_points_list
    return [attention.n_points] * attention.n_levels


def _init_query_selection(model: Any) -> None:
    nn.init.xavier_uniform_(model.enc_output[0].weight)
    _init_class_head(model.enc_score_head)
    _zero(model.enc_bbox_head.layers[-1])
    if model.config.learn_initial_query:
        nn.init.xavier_uniform_(model.weight_embedding.weight)
    if isinstance(model, v2.RTDetrV2Model):
        for proj in model.decoder_input_proj:
            nn.init.xavier_uniform_(proj[0].weight)


def _init_decoder(decoder: Any) -> None:
    for layer in decoder.query_pos_head.layers:
        nn.init.xavier_uniform_(layer.weight)
    for class_head, box_head in zip(decoder.class_embed, decoder.bbox_embed, strict=True):
        _init_class_head(class_head)
        _zero(box_head.layers[-1])
    if isinstance(decoder, REFINING_DECODERS):
        _zero(decoder.pre_bbox_head.layers[-1])


def _init_groups(model: Any) -> None:
    """Start queries at the proposals they are given, and every group's heads alike."""
    for layer in (*model.decoder.modules(), *model.enc_output):
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(model.reference_point_embed.weight)
    for class_head, box_head in zip(
        model.enc_out_class_embed, model.enc_out_bbox_embed, strict=True
    ):
        _init_class_head(class_head)
        _zero(box_head.layers[-1])


def _init_class_head(head: nn.Linear) -> None:
    nn.init.constant_(head.bias, -math.log((1 - CLASS_PRIOR) / CLASS_PRIOR))


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
