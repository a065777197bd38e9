"""One streaming sweep: run the passes batch by batch and keep only sums, and only those that somebody asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from curette.errors import SettingError
from curette.learn.allocator import keep_freed
from curette.learn.columns import wanted
from curette.learn.companions.contract import Accompanied
from curette.learn.fuse import fused
from curette.learn.layout import layout
from curette.learn.learner import Images
from curette.learn.passes import members
from curette.learn.prediction import Prediction
from curette.learn.slabs import joined, slabs
from curette.learn.sums import Sums
from curette.region import Region
from curette.registry import Bound, bind

VOXELS = 2**21
"""Most voxels of the volumes in one forward pass; a single volume may have more."""
OVERLAP = 0.25
"""Share of a window that the next one covers again, MONAI's default."""


def predict(
    networks: Sequence[nn.Module],
    images: Images,
    regions: Sequence[Region],
    passes: Bound,
    needs: frozenset[str],
    *,
    batch: int,
    seed: int,
    device: torch.device,
    precision: str = "32-true",
    crop: Sequence[int] | None = None,
) -> Iterator[Prediction]:
    """Yield predictions of `batch` regions at a time, in the order given, as float32 tensors on `device`.

    Only regions of one shape go together, and of volumes no more than `VOXELS`. Units larger than `crop` go through the
    passes in windows of that size that overlap by a quarter, see `curette.learn.windows`, unless a column needs maps of
    features, the head or a companion of the whole image: for those the network sees all of it at once.

    The same regions, batch size and seed give the same predictions, random passes included. Raises `SettingError` when
    the passes need more networks than there are, when a column needs a head that a network does not have, or when passes
    that should vary give equal logits on the first batch.
    """
    whole = "feature_map" in needs or any(
        column.info.get("head") or column.info.get("outputs") for column in wanted(needs).values()
    )
    if members(passes) > len(networks):
        raise SettingError(
            f"The passes '{passes}' need {members(passes)} networks, but the model holds {len(networks)}. "
            "Train it with more members."
        )
    if device.type == "cpu":
        keep_freed()
    generator = torch.Generator(device).manual_seed(seed)
    compare = passes.says("stochastic")
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    networks = [fused(network) for network in networks]
    for number, chosen in enumerate(groups(images, regions, batch)):
        array, valid = images.batch(chosen)
        asked = passes if whole else windowed(passes, array.shape[2:], crop)
        x = layout(torch.from_numpy(array).to(device))
        with torch.inference_mode():
            mask = None if valid is None else torch.from_numpy(valid).to(device)
            sums = Sums(needs, x, mask)
            pieces = joined if sums.whole else slabs
            began = generator.get_state()
            with torch.autocast(device.type, half, enabled=half is not None):
                with _watch(networks, sums):
                    for slab in pieces(asked(networks, x, generator)):
                        sums.add(slab, compare=compare and number == 0)
                        del slab  # before the next is made: two are never alive
                if sums.twice:
                    generator.set_state(began)
                    for slab in pieces(asked(networks, x, generator)):
                        sums.again(slab)
                        del slab
            found = sums.prediction(chosen, passes)
        # Not inside: whoever reads two predictions in turn would leave inference mode on for good.
        yield found


def groups(images: Images, regions: Sequence[Region], batch: int) -> Iterator[Sequence[Region]]:
    """Regions in their order, as many as fit into one forward pass: of one shape, volumes up to `VOXELS` in all."""
    ask: Callable[[Region], tuple[int, ...]] | None = getattr(images, "unit_shape", None)
    if ask is None:
        yield from (regions[i : i + batch] for i in range(0, len(regions), batch))
        return
    start, most = 0, batch
    shape: tuple[int, ...] = ()
    for i, region in enumerate(regions):
        own = ask(region)
        if i > start and (own != shape or i - start >= most):
            yield regions[start:i]
            start = i
        if i == start:
            shape = own
            most = batch if len(own) < 3 else max(1, min(batch, VOXELS // math.prod(own)))
    if regions:
        yield regions[start:]


def windowed(passes: Bound, shape: Sequence[int], crop: Sequence[int] | None) -> Bound:
    """The passes as they are, or around windows of `crop` where a unit of `shape` [*S] is larger along some axis."""
    if crop is None or passes.name == "windows" or all(n <= w for n, w in zip(shape, crop, strict=True)):
        return passes
    stride = tuple(max(1, int(w * (1 - OVERLAP))) for w in crop)
    return bind("passes", "windows", passes, size=tuple(crop), stride=stride)


@contextmanager
def _watch(networks: Sequence[nn.Module], sums: Sums) -> Iterator[None]:
    """While inside, every forward pass shows `sums` what it needs of the deepest encoder level and of the head."""

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        sums.embed(output)

    def look(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sums.look(inputs[0], output)

    def hear(module: nn.Module, _inputs: object, _output: Tensor) -> None:
        sums.hear(module.outputs())  # type: ignore[operator]

    hooks = []
    for network in networks:
        if sums.outputs:
            hooks.append(_company(network, sums).register_forward_hook(hear))
        if "embedding" in sums.needs:
            hooks.append(network.deepest.register_forward_hook(note))  # type: ignore[union-attr]
        if sums.heads:
            hooks.append(_head(network, sums).register_forward_hook(look))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for network in networks:
            if isinstance(network, Accompanied):
                network.keep = False


def _company(network: nn.Module, sums: Sums) -> Accompanied:
    """The network, set to keep what its companions look at."""
    if not isinstance(network, Accompanied):
        needed = ", ".join(name for name, column in sums.columns.items() if column.info.get("outputs"))
        raise SettingError(
            f"'{needed}' looks at what a companion says, and the model was trained without one. Train it with the companion "
            "(train.companions, or behind a '+' of the strategy)."
        )
    network.keep = True
    return network


def _head(network: nn.Module, sums: Sums) -> nn.Module:
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Module):
        needed = ", ".join(name for name, column in sums.columns.items() if column.info.get("head"))
        raise SettingError(
            f"The network {type(network).__name__} does not end in a plain head, and '{needed}' looks at one. "
            "Use another strategy, or a network such as 'unet', 'basic_unet' or 'cnn' (train.model)."
        )
    return head
