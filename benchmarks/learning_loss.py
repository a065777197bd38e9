"""What the margin of the learning-loss head does: how well predicted losses follow real ones, on hippocampus slices.

python benchmarks/learning_loss.py [--slices 100] [--steps 200] [--seeds 2] [--only margin=1 margin=0]

Each variant is trained with a `unet` of half its usual widths on the same random slices of the training patients and asked
about slices of others. Printed are the Dice of the network (the mean over both parts of the hippocampus of the Dice of all
held-out slices together), the standard deviation of what the head says of them, and Spearman's correlation of that with the
slices' real loss (cross-entropy plus one minus soft Dice), over all of them and over those with foreground, beside that of the
prediction's entropy.
"""

from __future__ import annotations

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from curette.data.prepared import Prepared
from curette.learn.companions.contract import Accompanied
from curette.learn.companions.learning_loss import sample_losses
from curette.learn.layout import layout
from curette.learn.train import train
from curette.recipe import Train
from curette.region import Region
from curette.registry import bind
from structure_boundary import WIDTHS, arguments, begin, few, overlap, pooled

VARIANTS: dict[str, dict[str, object]] = {
    "margin=1": {},
    "margin=0": {"margin": 0.0},
    "margin=1, absent": {"absent": True},
    "margin=0, absent": {"margin": 0.0, "absent": True},
    "margin=0, lr=0.01": {"margin": 0.0, "lr": 0.01},
}


def main() -> None:
    args, prepared, pool, held = arguments(__doc__, list(VARIANTS))
    settings = Train(steps=args.steps, lr=3e-3, options={"widths": WIDTHS})
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    for seed in range(args.seeds):
        for variant in args.only:
            company = [bind("companion", "learning_loss", **VARIANTS[variant])]
            network, samples = begin(prepared, few(pool, args.slices, seed), company, settings, seed)
            train(network, samples, prepared.unit_task, settings, fabric, seed=seed)
            facts = _look(network, prepared, held)
            print(
                f"{variant}, seed {seed}: " + "  ".join(f"{k} {v:.3f}" for k, v in facts.items()), flush=True
            )


@torch.inference_mode()
def _look(network: nn.Module, prepared: Prepared, regions: list[Region]) -> dict[str, float]:
    assert isinstance(network, Accompanied)
    network.eval().keep = True
    options = network.companions["learning_loss"].options
    columns: dict[str, list[NDArray[np.float64]]] = {}
    for start in range(0, len(regions), 64):
        part = regions[start : start + 64]
        answers = prepared.labels(part)
        truth = torch.from_numpy(np.stack([answers[r] for r in part]).astype(np.int64))
        logits = network(layout(torch.from_numpy(prepared.batch(part)[0])))
        p = logits.softmax(1)
        found = {
            "said": network.outputs()["predicted_loss"],
            "real": sample_losses(logits, truth, prepared.unit_task, options)[0],
            "entropy": -(p * p.clamp_min(1e-30).log()).sum(1).flatten(1).mean(1),
            "foreground": (truth > 0).flatten(1).any(1),
            "overlap": overlap(logits, truth, len(prepared.unit_task.classes)),
        }
        for name, value in found.items():
            columns.setdefault(name, []).append(value.double().numpy())
    said, real, entropy, foreground, both = (np.concatenate(c) for c in columns.values())
    some = foreground > 0
    return {
        "Dice": pooled(both),
        "deviation": float(said.std()),
        "said~real": _rank(said, real),
        "entropy~real": _rank(entropy, real),
        "said~real, with foreground": _rank(said[some], real[some]),
        "entropy~real, with foreground": _rank(entropy[some], real[some]),
    }


def _rank(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(spearmanr(one, other)[0]) if np.ptp(one) else float("nan")


if __name__ == "__main__":
    main()
