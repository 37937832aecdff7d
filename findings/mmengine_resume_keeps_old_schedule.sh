#!/usr/bin/env bash
# Finding: mmengine's resume ignores a longer schedule in the config, without a word.
#
# Versions: onedl-mmengine 0.10.12, torch 2.13.0, Python 3.11.
# Valid input: a cosine from 0.1 to 0.001 over 4 epochs, resumed with the same cosine over 8 epochs.
# Right: after 4 of 8 epochs the rate is at its half, 0.0505, and falls to 0.0048 in epoch 8.
# Seen: Runner.resume lets the attributes of the saved scheduler (T_max, end) replace those of the
# config, so that epochs 5 to 8 train at the rate that the short schedule ended with:
#
#     4 epochs:          0.1000 0.0855 0.0505 0.0155
#     4 resumed to 8:    0.0155 0.0155 0.0155 0.0155
#     8 from the start:  0.0505 0.0316 0.0155 0.0048
#
# Ours: derain_plugin's ResumeByNameHook lets the config count, and says so.
# Exits with 0 as long as mmengine behaves so. Needs python3.11 and a package index.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 onedl-mmengine==0.10.12 \
    opencv-python-headless==4.12.0.88 setuptools
cd "$folder"
cat > finding.py <<'PYTHON'
import sys

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import TensorDataset


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, y=None, mode="tensor"):
        return dict(loss=(self.layer(x) - y).square().mean())


class Rates(Hook):
    def __init__(self):
        self.seen = []

    def before_train_epoch(self, runner):
        self.seen.append(round(runner.optim_wrapper.param_groups[0]["lr"], 4))


def train(name, epochs, resume_from=None):
    rates = Rates()
    Runner(
        model=Model(),
        work_dir=name,
        experiment_name=name,
        train_dataloader=dict(
            dataset=TensorDataset(torch.zeros(4, 1), torch.zeros(4, 1)),
            sampler=dict(type="DefaultSampler", shuffle=False),
            batch_size=2,
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        param_scheduler=dict(type="CosineAnnealingLR", T_max=epochs, end=epochs, eta_min=0.001),
        custom_hooks=[rates],
        load_from=resume_from,
        resume=resume_from is not None,
        log_level="ERROR",
    ).train()
    return rates.seen


short = train("short", 4)
resumed = train("resumed", 8, resume_from="short/epoch_4.pth")
whole = train("whole", 8)[4:]
for label, rates in (
    ("4 epochs:", short), ("4 resumed to 8:", resumed), ("8 from the start:", whole)
):  # fmt: skip
    print(f"{label:<18}", *(f"{rate:.4f}" for rate in rates))
sys.exit(0 if resumed == [0.0155] * 4 and whole[0] == 0.0505 else 1)
PYTHON
"$folder/venv/bin/python" finding.py 2> errors.txt || { status=$?; tail -5 errors.txt >&2; exit $status; }
