"""Upstream's initialisation for transformers' RT-DETR modules.

transformers draws BatchNorm weights, convolutions and linears from N(0, 0.01), which is of no
matter when weights are loaded but leaves a detector trained from scratch nearly still. Source:
https://github.com/lyuwenyu/RT-DETR/blob/94f5e16708329d2f2716426868ec89aa774af016/rtdetr_pytorch/src/zoo/rtdetr/rtdetr_decoder.py
"""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers.models.rt_detr import modeling_rt_detr as rt

CLASS_PRIOR = 0.01


@torch.no_grad()
def init_like_upstream(module: nn.Module) -> None:
    """Initialise an RT-DETR module, or any part of one, in place.

    Every leaf gets torch's default; then attention projections are Xavier, the sampling offsets
    a grid, class biases the logit of a prior of 0.01, and the last layer of each box head zero.
    """
    for leaf in module.modules():
        reset = getattr(leaf, "reset_parameters", None)
        if callable(reset):
            reset()
    for part in module.modules():
        if isinstance(part, rt.RTDetrSelfAttention):
            _init_self_attention(part)
        elif isinstance(part, rt.RTDetrMultiscaleDeformableAttention):
            _init_deformable_attention(part)
        elif isinstance(part, rt.RTDetrModel):
            _init_query_selection(part)
        elif isinstance(part, rt.RTDetrDecoder):
            _init_decoder(part)


def _init_self_attention(attention: rt.RTDetrSelfAttention) -> None:
    # torch's MultiheadAttention draws the three stacked as one (3C, C) matrix.
    for proj in (attention.q_proj, attention.k_proj, attention.v_proj):
        nn.init.xavier_uniform_(proj.weight, gain=math.sqrt(0.5))
        nn.init.zeros_(proj.bias)
    nn.init.zeros_(attention.o_proj.bias)


def _init_deformable_attention(attention: rt.RTDetrMultiscaleDeformableAttention) -> None:
    heads, levels, points = attention.n_heads, attention.n_levels, attention.n_points
    angles = torch.arange(heads, dtype=torch.float32) * (2 * math.pi / heads)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    directions /= directions.abs().amax(-1, keepdim=True)
    radii = torch.arange(1, points + 1, dtype=torch.float32).view(1, 1, points, 1)
    grid = directions.view(heads, 1, 1, 2).expand(heads, levels, points, 2) * radii
    attention.sampling_offsets.bias.copy_(grid.reshape(-1))
    for proj in (attention.sampling_offsets, attention.attention_weights):
        nn.init.zeros_(proj.weight)
    nn.init.zeros_(attention.attention_weights.bias)
    for proj in (attention.value_proj, attention.output_proj):
        nn.init.xavier_uniform_(proj.weight)
        nn.init.zeros_(proj.bias)


def _init_query_selection(model: rt.RTDetrModel) -> None:
    nn.init.xavier_uniform_(model.enc_output[0].weight)
    _init_class_head(model.enc_score_head)
    _init_box_head(model.enc_bbox_head)
    if model.config.learn_initial_query:
        nn.init.xavier_uniform_(model.weight_embedding.weight)


def _init_decoder(decoder: rt.RTDetrDecoder) -> None:
    for layer in decoder.query_pos_head.layers:
        nn.init.xavier_uniform_(layer.weight)
    for class_head, box_head in zip(decoder.class_embed, decoder.bbox_embed, strict=True):
        _init_class_head(class_head)
        _init_box_head(box_head)


def _init_class_head(head: nn.Linear) -> None:
    nn.init.constant_(head.bias, -math.log((1 - CLASS_PRIOR) / CLASS_PRIOR))


def _init_box_head(head: rt.RTDetrMLPPredictionHead) -> None:
    nn.init.zeros_(head.layers[-1].weight)
    nn.init.zeros_(head.layers[-1].bias)
