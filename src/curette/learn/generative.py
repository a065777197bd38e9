"""A small variational autoencoder of images and a discriminator of its codes, trained against each other on the CPU.

The discriminator learns to tell codes of labelled images from codes of the pool; the autoencoder learns to compress both
kinds and to fool it. With a rank given for every image, both are told it (task-aware VAAL).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, pad, softplus


@dataclass(frozen=True)
class Adversaries:
    """How both networks are trained.

    An iteration is `vae_steps` steps of the autoencoder and one of the discriminator, each on a batch of the pool and one
    of the labelled set. `epochs` rounds of the pool, but at most `steps` iterations. `reduction` of the divergence of the
    codes is ``sum`` or ``mean`` over batch and code; `beta` is its weight and `adversary` that of the fooling.
    """

    epochs: int = 20
    steps: int = 200
    batch: int = 64
    width: int = 16
    latent: int = 32
    vae_steps: int = 2
    reduction: str = "sum"
    beta: float = 1.0
    adversary: float = 1.0
    lr: float = 5e-4


class Autoencoder(nn.Module):
    """β-VAE of images [B, channels, *S], up to four levels of half the size; the decoder may be told a rank [B, 1]."""

    def __init__(self, channels: int, size: Sequence[int], width: int, latent: int, ranks: int) -> None:
        super().__init__()
        dims = len(size)
        levels = min(4, max(1, int(math.log2(max(2, min(size)))) - 1))
        self.padded = [-length % 2**levels for length in size]
        self.small = [(length + more) // 2**levels for length, more in zip(size, self.padded, strict=True)]
        widths = [channels, *(width * 2**i for i in range(levels))]
        down, up = getattr(nn, f"Conv{dims}d"), getattr(nn, f"ConvTranspose{dims}d")
        norm = getattr(nn, f"BatchNorm{dims}d")
        encoder: list[nn.Module] = []
        for a, b in pairwise(widths):
            encoder += [down(a, b, 4, 2, 1, bias=False), norm(b), nn.ReLU(inplace=True)]
        self.encoder = nn.Sequential(*encoder, nn.Flatten())
        cells = widths[-1] * math.prod(self.small)
        self.mean, self.log_variance = nn.Linear(cells, latent), nn.Linear(cells, latent)
        self.first = nn.Linear(latent + ranks, cells)
        decoder: list[nn.Module] = []
        for a, b in pairwise(widths[::-1]):
            decoder += [up(a, b, 4, 2, 1), norm(b), nn.ReLU(inplace=True)]
        self.decoder = nn.Sequential(*decoder[:-2])  # nothing after the last convolution
        self.size = tuple(size)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the codes, [B, latent] each."""
        if any(self.padded):
            around = [side for more in reversed(self.padded) for side in (0, more)]
            images = pad(images, around, mode="replicate")
        seen = self.encoder(images)
        return self.mean(seen), self.log_variance(seen).clamp(-20, 20)

    def decode(self, codes: Tensor, ranks: Tensor) -> Tensor:
        """Images of codes; the decoder is told sigmoid(rank)."""
        start = self.first(torch.cat([codes, ranks.sigmoid()], dim=1))
        images: Tensor = self.decoder(start.reshape(len(codes), -1, *self.small))
        for axis, length in enumerate(self.size, start=2):
            images = images.narrow(axis, 0, length)
        return images


def discriminator(inputs: int) -> nn.Module:
    """Codes (and ranks as they are) → logit [B]: high for those that look labelled."""
    return nn.Sequential(
        nn.Linear(inputs, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1), nn.Flatten(0)
    )


def divergence(mean: Tensor, log_variance: Tensor, reduction: str) -> Tensor:
    """KL divergence of the codes' distributions from the standard normal one, summed or averaged over all entries."""
    each = -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
    return each.sum() if reduction == "sum" else each.mean()


def fooling(known: Tensor, pool: Tensor) -> Tensor:
    """What the autoencoder is told of the discriminator's logits: all of them should look labelled."""
    return _cross_entropy(known, 1.0) + _cross_entropy(pool, 1.0)


def telling(known: Tensor, pool: Tensor) -> Tensor:
    """What the discriminator is told of its logits: labelled images are 1, those of the pool 0."""
    return _cross_entropy(known, 1.0) + _cross_entropy(pool, 0.0)


def ranking_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy [B/2] of the order of pairs (i, B-1-i): sigmoid(rᵢ - rⱼ) against whether loss i is the larger."""
    half = len(predicted) // 2
    apart = (predicted - predicted.flip(0))[:half]
    larger = (true > true.flip(0))[:half].to(apart.dtype)
    return binary_cross_entropy_with_logits(apart, larger, reduction="none")


def look_labelled(
    pool: NDArray[np.float32],
    known: NDArray[np.float32],
    how: Adversaries,
    seed: int,
    ranks: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Train both networks; return the discriminator's logit [N] for every image of the pool: high looks labelled.

    Images are finite, [N, channels, *S] and [M, channels, *S]; `ranks` [N] and [M] if given. Every channel is scaled to
    mean 0 and variance 1 over the pool. The same seed gives the same logits, and torch's global generator is untouched.
    """
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(seed)
        scale = _moments(pool)
        ours, theirs = (_Images(part, scale, ranks and ranks[i]) for i, part in enumerate((pool, known)))
        network = Autoencoder(pool.shape[1], pool.shape[2:], how.width, how.latent, ours.ranks.shape[1])
        judge = discriminator(how.latent + ours.ranks.shape[1])
        _train(network, judge, ours, theirs, how)
        return _judge(network, judge, ours)


def rank(
    features: NDArray[np.float32],
    known: NDArray[np.float32],
    losses: NDArray[np.float32],
    seed: int,
    *,
    steps: int = 200,
    batch: int = 64,
) -> NDArray[np.float32]:
    """Ranks [N] of features [N, d], higher where the loss is larger, learnt from pairs of `known` [M, d] and their losses."""
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(seed)
        mean, spread = known.mean(axis=0), known.std(axis=0)
        scale = np.where(spread > 1e-6 * np.abs(mean), spread, np.inf)
        ours, theirs = (torch.from_numpy(((x - mean) / scale).astype(np.float32)) for x in (features, known))
        true = torch.from_numpy(losses.astype(np.float32))
        network = nn.Sequential(nn.Linear(known.shape[1], 128), nn.ReLU(), nn.Linear(128, 1), nn.Flatten(0))
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=5e-4)
        for _, chosen in zip(range(steps), _batches(len(theirs), batch), strict=False):
            loss = ranking_loss(network(theirs[chosen]), true[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            return np.asarray(network(ours).numpy())


_Scale = tuple[NDArray[np.float32], NDArray[np.float32]]


class _Images:
    """Images, scaled as they are asked for, and their ranks [n, 0 or 1]."""

    def __init__(self, images: NDArray[np.float32], scale: _Scale, ranks: NDArray[np.float32] | None) -> None:
        self.images, self.scale = images, scale
        self.ranks = np.empty((len(images), 0), np.float32) if ranks is None else ranks[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def at(self, which: slice | NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Images [·, channels, *S] and ranks at these positions."""
        mean, spread = self.scale
        images = ((self.images[which] - mean) / spread).astype(np.float32)
        return torch.from_numpy(images), torch.from_numpy(self.ranks[which].astype(np.float32))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Without end, each image once a round."""
        return (self.at(chosen.numpy()) for chosen in _batches(len(self), size))


def _moments(images: NDArray[np.float32]) -> _Scale:
    """Mean and standard deviation of every channel, from images all over the pool."""
    some = images[:: max(1, len(images) // 4096)].astype(np.float64)
    axes = (0, *range(2, images.ndim))
    mean, spread = some.mean(axis=axes, keepdims=True)[0], some.std(axis=axes, keepdims=True)[0]
    return mean.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32)


def _train(network: Autoencoder, judge: nn.Module, pool: _Images, known: _Images, how: Adversaries) -> None:
    optimise = [torch.optim.Adam(part.parameters(), lr=how.lr) for part in (network, judge)]
    rounds = how.epochs * -(-len(pool) // how.batch)
    ours, theirs = pool.batches(how.batch), known.batches(how.batch)
    for _ in range(min(how.steps, rounds)):
        for _ in range(how.vae_steps):
            (x, r), (y, q) = next(ours), next(theirs)
            here, there = _compress(network, x, r, how), _compress(network, y, q, how)
            loss = here[0] + there[0]
            loss = loss + how.adversary * fooling(
                judge(torch.cat([there[1], q], 1)), judge(torch.cat([here[1], r], 1))
            )
            _step(optimise[0], loss, network)
        (x, r), (y, q) = next(ours), next(theirs)
        with torch.no_grad():
            codes, others = network.encode(x)[0], network.encode(y)[0]
        loss = telling(judge(torch.cat([others, q], 1)), judge(torch.cat([codes, r], 1)))
        _step(optimise[1], loss, judge)


def _compress(network: Autoencoder, images: Tensor, ranks: Tensor, how: Adversaries) -> tuple[Tensor, Tensor]:
    """The loss of one batch without the fooling, and its mean codes."""
    mean, log_variance = network.encode(images)
    codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    loss = mse_loss(network.decode(codes, ranks), images)
    return loss + how.beta * divergence(mean, log_variance, how.reduction), mean


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
    """One step; gradients are kept within bounds, as the divergence of a few odd images can be huge."""
    for parameter in network.parameters():
        parameter.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 100.0)
    optimiser.step()


def _judge(network: Autoencoder, judge: nn.Module, pool: _Images) -> NDArray[np.float32]:
    network.eval()
    found = np.empty(len(pool), np.float32)
    with torch.inference_mode():
        for start in range(0, len(found), 1024):
            part = slice(start, start + 1024)
            images, ranks = pool.at(part)
            found[part] = judge(torch.cat([network.encode(images)[0], ranks], 1)).numpy()
    return found


def _batches(count: int, size: int) -> Iterator[Tensor]:
    """Positions in random order, `size` at a time, round after round; all of them if there are fewer, one of them twice."""
    while True:
        order = (
            torch.randperm(count) if count > 1 else torch.zeros(2, dtype=torch.long)
        )  # batch norm needs two
        for start in range(0, max(1, count - size + 1), size):
            yield order[start : start + size]


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return softplus(-logits).mean() if target else softplus(logits).mean()
