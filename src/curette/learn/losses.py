"""What training minimises: cross-entropy, for segmentation together with Dice; unannotated voxels touch neither."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot


def segmentation_loss(logits: Tensor, labels: Tensor, *, ignore: int, dice: float) -> Tensor:
    """Return ``(1 - dice) · CE + dice · Dice loss`` of logits [B, C, *S] and integer labels [B, *S].

    CE is the mean over annotated voxels; the Dice loss is that of `dice_loss`. Voxels labelled `ignore` have no part in
    either, and a batch without any annotated voxel gives 0.
    """
    labels = labels.long()
    known = labels != ignore
    entropy = cross_entropy(logits, labels, ignore_index=ignore, reduction="sum") / known.sum().clamp_min(1)
    if dice == 0:
        return entropy
    return (1 - dice) * entropy + dice * dice_loss(logits.softmax(1), labels, known)


def dice_loss(probabilities: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """-ln of the soft Dice of the foreground classes, averaged over those that occur in the batch (Wong et al., 2018).

    Overlap and sizes are summed over the whole batch, so a sample without the class adds its false positives to it.
    A class that no sample of the batch holds is left to the cross-entropy: its Dice would reward predicting nothing,
    whatever the smoothing.

    Why the logarithm: the gradient of 1 - Dice is proportional to the probability of the class, so a small class that
    has once been talked down stays down. That of -ln Dice is as strong however little of the class is left.
    """
    classes = probabilities.shape[1]
    target = one_hot(torch.where(known, labels, 0), classes).movedim(-1, 1).to(probabilities.dtype)
    target = target[:, 1:] * known.unsqueeze(1)
    found = probabilities[:, 1:] * known.unsqueeze(1)
    space = [0, *range(2, probabilities.ndim)]
    size = target.sum(space)
    present = size > 0
    score = 2 * (found * target).sum(space) / (found.sum(space) + size).clamp_min(1e-6)
    loss = -torch.where(present, score, 1.0).clamp_min(1e-6).log()
    return loss.sum() / present.sum().clamp_min(1)


def classification_loss(logits: Tensor, labels: Tensor, *, ignore: int) -> Tensor:
    """Return the mean cross-entropy of logits [B, C] and classes [B]; 0 for a batch in which none is known."""
    labels = labels.long()
    known = (labels != ignore).sum().clamp_min(1)
    return cross_entropy(logits, labels, ignore_index=ignore, reduction="sum") / known
