#!/usr/bin/env bash
# transformers 5.23.0: a Trainer that is resumed from the checkpoint of its last step trains one step more.
#
# A good guess: with max_steps=3 and checkpoint-3 on disk, train(resume_from_checkpoint=...) has nothing left to do and the
# weights stay those of the checkpoint.
# Seen: global_step becomes 4, and the weights change; each further resume would do it again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0
"$work/venv/bin/pip" install --quiet transformers==5.23.0 accelerate==1.15.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch, transformers
from transformers import Trainer, TrainingArguments

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
    def forward(self, x, y):
        return {"loss": ((self.layer(x) - y) ** 2).mean()}

rows = [{"x": torch.tensor([float(i)]), "y": torch.tensor([2.0 * i])} for i in range(8)]
arguments = dict(output_dir="out", max_steps=3, save_steps=1, per_device_train_batch_size=1, report_to="none", use_cpu=True,
                 disable_tqdm=True, learning_rate=0.01, lr_scheduler_type="constant")
torch.manual_seed(0)
first = Trainer(Line(), TrainingArguments(**arguments), train_dataset=rows)
first.train()
ended = first.model.layer.weight.item()
again = Trainer(Line(), TrainingArguments(**arguments), train_dataset=rows)
again.train(resume_from_checkpoint="out/checkpoint-3")
print(f"transformers {transformers.__version__}: max_steps=3; after resuming from checkpoint-3: global_step "
      f"{again.state.global_step}, weight {again.model.layer.weight.item():.4f} (checkpoint: {ended:.4f})")
assert again.state.global_step == 4, "changed: no step past the limit any more"
assert again.model.layer.weight.item() != ended
PY
