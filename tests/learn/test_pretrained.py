"""Published weights fit by name, give what their makers' network gives, and say what to do when they cannot be had."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, max_pool2d, relu

from curette.errors import CuretteWarning, DataError, SettingError
from curette.learn.models import build, pretrained
from curette.learn.models.pretrained import SOURCES, Source, adapted
from curette.recipe import Train
from curette.task import Task

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from webserver import Site, serving

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}

State = dict[str, Tensor]


def _task(kind: str = "classification", dims: int = 2) -> Task:
    return Task.model_validate({"kind": kind, "dims": dims, "classes": {"background": 0, "a": 1, "b": 2}})


def _network(
    name: str, weights: str, *, kind: str = "classification", dims: int = 2, channels: int = 3
) -> nn.Module:
    torch.manual_seed(0)
    return build(_task(kind, dims), channels, Train(model=name, options={"pretrained": weights})).eval()


def _published(depth: int, *, dims: int = 2, channels: int = 3, plain: bool = False) -> State:
    """Random weights in torchvision's names and shapes; `plain`: without projections, as MedicalNet's smaller files."""
    drawn = torch.Generator().manual_seed(depth)
    state: State = {}

    def convolution(name: str, outside: int, inside: int, kernel: int) -> None:
        shape = (outside, inside, *(kernel,) * dims)
        state[f"{name}.weight"] = torch.randn(shape, generator=drawn) * (2 / inside / kernel**dims) ** 0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=drawn) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=drawn) / 10
        state[f"{name}.running_mean"] = torch.randn(width, generator=drawn) / 10
        state[f"{name}.running_var"] = torch.rand(width, generator=drawn) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv1", 64, channels, 7)
    norm("bn1", 64)
    grow = 4 if depth == 50 else 1
    inside = 64
    for level, count in enumerate(BLOCKS[depth]):
        width = 64 * 2**level
        for block in range(count):
            here = f"layer{level + 1}.{block}"
            steps = [(width, inside, 1), (width, width, 3), (4 * width, width, 1)] if grow == 4 else []
            for i, (b, a, kernel) in enumerate(steps or [(width, inside, 3), (width, width, 3)], start=1):
                convolution(f"{here}.conv{i}", b, a, kernel)
                norm(f"{here}.bn{i}", b)
            if block == 0 and inside != grow * width and not plain:
                convolution(f"{here}.downsample.0", grow * width, inside, 1)
                norm(f"{here}.downsample.1", grow * width)
            inside = grow * width
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, inside), torch.zeros(1000)
    return state


def _torchvision(state: State, depth: int, x: Tensor) -> list[Tensor]:
    """torchvision's ResNet, written down once more from its description: what each of its five levels gives."""

    def normed(name: str, x: Tensor) -> Tensor:
        facts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return batch_norm(x, *facts, eps=1e-5)

    def block(here: str, x: Tensor, stride: int) -> Tensor:
        if depth == 50:
            y = relu(normed(f"{here}.bn1", conv2d(x, state[f"{here}.conv1.weight"])))
            y = conv2d(y, state[f"{here}.conv2.weight"], stride=stride, padding=1)
            y = relu(normed(f"{here}.bn2", y))
            y = normed(f"{here}.bn3", conv2d(y, state[f"{here}.conv3.weight"]))
        else:
            y = conv2d(x, state[f"{here}.conv1.weight"], stride=stride, padding=1)
            y = relu(normed(f"{here}.bn1", y))
            y = normed(f"{here}.bn2", conv2d(y, state[f"{here}.conv2.weight"], padding=1))
        if f"{here}.downsample.0.weight" in state:
            x = normed(f"{here}.downsample.1", conv2d(x, state[f"{here}.downsample.0.weight"], stride=stride))
        return relu(x + y)

    x = relu(normed("bn1", conv2d(x, state["conv1.weight"], stride=2, padding=3)))
    found = [x]
    x = max_pool2d(x, 3, stride=2, padding=1)
    for level, count in enumerate(BLOCKS[depth]):
        for number in range(count):
            x = block(f"layer{level + 1}.{number}", x, 2 if level and not number else 1)
        found.append(x)
    return found


@pytest.mark.parametrize("depth", [18, 34, 50])
@torch.inference_mode()
def test_features_are_those_of_torchvision(depth: int, tmp_path: Path) -> None:
    state = _published(depth)
    torch.save(state, tmp_path / "weights.pth")
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    expected = _torchvision(state, depth, x)
    assert expected[-1].std() > 0.01
    network = _network(f"resnet{depth}", str(tmp_path / "weights.pth"))
    torch.testing.assert_close(network.deepest(x), expected[-1], rtol=1e-4, atol=1e-4)  # type: ignore[operator]
    network = _network(f"resnet{depth}_unet", str(tmp_path / "weights.pth"), kind="segmentation").network  # type: ignore[assignment]
    for level, wanted in zip(network.encoder, expected, strict=True):  # type: ignore[arg-type]
        x = level(x)
        torch.testing.assert_close(x, wanted, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_weights_of_imagenet_see_images_as_they_were_trained(tmp_path: Path) -> None:
    state = _published(18)
    torch.save(state, tmp_path / "weights.pth")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = _torchvision(state, 18, (x - mean[:, None, None]) / deviation[:, None, None])
    options = {"pretrained": str(tmp_path / "weights.pth"), "normalise": "imagenet"}
    network = build(_task(), 3, Train(model="resnet18", options=options)).eval()
    torch.testing.assert_close(network.deepest(x), expected[-1], rtol=1e-4, atol=1e-4)  # type: ignore[operator]
    unet = build(_task("segmentation"), 3, Train(model="resnet18_unet", options=options)).eval()
    torch.testing.assert_close(unet.network.encoder[0](x), expected[0], rtol=1e-4, atol=1e-4)  # type: ignore[index, operator, union-attr]
    grey = build(_task(), 2, Train(model="resnet18", options=options)).deepest[0]  # type: ignore[index]
    torch.testing.assert_close(grey.mean.flatten(), mean.mean().expand(2))
    torch.testing.assert_close(grey.deviation.flatten(), deviation.mean().expand(2))


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(SettingError, match=r"normalisation 'imagnet'.*imagenet"):
        build(_task(), 3, Train(model="resnet18", options={"normalise": "imagnet"}))


@torch.inference_mode()
def test_a_grey_image_gives_what_its_copies_in_three_channels_give(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(_published(18), path)
    grey = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    expected = _network("resnet18", str(path)).deepest(grey.expand(1, 3, 40, 40))  # type: ignore[operator]
    for channels in (1, 4):
        found = _network("resnet18", str(path), channels=channels).deepest(grey.expand(1, channels, 40, 40))  # type: ignore[operator]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_same_number_of_channels_changes_no_filter() -> None:
    weight = torch.randn(4, 3, 7, 7)
    assert torch.equal(adapted(weight, 3), weight)
    torch.testing.assert_close(adapted(weight, 1)[:, 0], weight.sum(1))


@pytest.mark.parametrize(("name", "depth"), [("resnet18", 18), ("resnet50", 50), ("resnet18_unet", 18)])
def test_volumes_take_the_layout_of_medicalnet(name: str, depth: int, tmp_path: Path) -> None:
    state = _published(depth, dims=3, channels=1, plain=depth < 50)
    wrapped = {f"module.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    wrapped["module.conv_seg.0.weight"] = torch.zeros(3)
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "weights.pth")
    kind = "segmentation" if name.endswith("unet") else "classification"
    network = _network(name, str(tmp_path / "weights.pth"), kind=kind, dims=3, channels=2)
    encoder = network.network.encoder if name.endswith("unet") else network.deepest  # type: ignore[union-attr]
    found = {f"layer{i}.{key}": v for i in (2, 3, 4) for key, v in encoder[i].state_dict().items()}  # type: ignore[index, operator, union-attr]
    assert set(found) == {key for key in state if key.startswith(("layer2", "layer3", "layer4"))}
    assert all(torch.equal(value, state[key]) for key, value in found.items())
    with torch.inference_mode():
        assert torch.isfinite(network(torch.rand(1, 2, 20, 18, 9))).all()


def test_files_without_counters_of_batches_fit(tmp_path: Path) -> None:
    state = {k: v for k, v in _published(18).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    network = _network("resnet18", str(tmp_path / "old.pth"))
    assert torch.equal(network.deepest[0][0].weight, state["conv1.weight"])  # type: ignore[index, union-attr]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(_published(34), path)
    with pytest.raises(
        DataError, match=r"weights\.pth do not fit.*unknown: layer1\.2\.bn1\.bias.*train\.model"
    ):
        _network("resnet18", str(path))
    state = _published(18)
    del state["bn1.weight"]
    state["layer1.0.bn1.bias"] = torch.zeros(3)
    torch.save(state, path)
    with pytest.raises(
        DataError, match=r"1 missing: bn1\.weight; 1 of another shape: layer1\.0\.bn1\.bias \[3\] for \[64\]"
    ):
        _network("resnet18", str(path))
    with pytest.raises(SettingError, match=r"weights of a 2D network, but the task is 3D"):
        _network("resnet18", str(path), dims=3)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(DataError, match=r"no file of weights .*weights\.pth.*leave it out"):
        _network("resnet18", str(path))
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"weights\.pth cannot be read"):
        _network("resnet18", str(path))
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="no state dict"):
        _network("resnet18", str(path))
    torch.save(_published(18), path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"weights\.pth cannot be read"):
        _network("resnet18", str(path))


def test_names_of_weights_belong_to_dimensions() -> None:
    with pytest.raises(SettingError, match=r"'imagenet' are for 2D images.*'medicalnet'"):
        _network("resnet18", "imagenet", dims=3)
    with pytest.raises(SettingError, match=r"'medicalnet' are for 3D images.*'imagenet'"):
        _network("resnet18_unet", "medicalnet", kind="segmentation")


def test_every_published_file_has_an_address() -> None:
    assert set(SOURCES) == {(name, depth) for name in ("imagenet", "medicalnet") for depth in (18, 34, 50)}
    for (name, depth), source in SOURCES.items():
        assert source.url.startswith("https://")
        assert str(depth) in source.url.rsplit("/", 1)[1]
        if name == "imagenet":  # torchvision puts the beginning of the checksum into the name
            assert source.url.removesuffix(".pth").rsplit("-", 1)[1] == source.sha256[:8]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server in place of torchvision's, and an empty cache."""
    torch.save(_published(18), tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    monkeypatch.setenv("CURETTE_CACHE", str(tmp_path / "cache"))
    with serving(Site(content)) as site:
        source = Source(site.url, hashlib.sha256(content).hexdigest()[:8])
        monkeypatch.setitem(SOURCES, ("imagenet", 18), source)
        yield site


@torch.inference_mode()
def test_what_is_downloaded_is_normalised_unless_told_otherwise(served: Site) -> None:
    x = torch.rand(1, 3, 40, 40)
    settings = Train(model="resnet18", options={"pretrained": "imagenet"})
    network = build(_task(), 3, settings).eval()
    shifted = (x - network.deepest[0].mean) / network.deepest[0].deviation  # type: ignore[index, union-attr]
    plain = settings.model_copy(update={"options": settings.options | {"normalise": "none"}})
    expected = build(_task(), 3, plain).eval().deepest(shifted)  # type: ignore[operator]
    torch.testing.assert_close(network.deepest(x), expected, rtol=1e-4, atol=1e-4)  # type: ignore[operator]
    # A stored model says itself how it was normalised: without the weights' file the network is the same.
    again = build(_task(), 3, settings, pretrained=False)
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again.eval()(x), network(x))
    with pytest.raises(RuntimeError, match="mean"):
        build(_task(), 3, plain, pretrained=False).load_state_dict(network.state_dict())


def test_a_download_is_kept_and_checked(
    served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _network("resnet18", "imagenet")
    again = _network("resnet18", "imagenet")
    assert len(served.asked) == 1
    assert torch.equal(first.deepest[0][0].weight, _published(18)["conv1.weight"])  # type: ignore[index, union-attr]
    assert torch.equal(first.deepest[0][0].weight, again.deepest[0][0].weight)  # type: ignore[index, union-attr, arg-type]
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    monkeypatch.setitem(SOURCES, ("imagenet", 18), Source(served.url, "00000000"))
    with pytest.raises(DataError, match=r"has the SHA-256 .* begins with 00000000.*deleted"):
        _network("resnet18", "imagenet")
    assert not kept.exists()


def test_a_download_that_nothing_is_known_to_compare_with_says_so(
    served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, ("imagenet", 18), Source(served.url))
    found = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    with pytest.warns(CuretteWarning, match=rf"No checksum of http.*weights.*SHA-256 is {found}"):
        _network("resnet18", "imagenet")
    _network("resnet18", "imagenet")  # once is enough


def test_without_a_network_it_says_how_to_go_on(
    served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.status, served.failures = 404, -1
    with pytest.raises(DataError, match=r"404.*weights.*or leave it out to start from random weights"):
        _network("resnet18", "imagenet")
    monkeypatch.setitem(SOURCES, ("imagenet", 18), Source("http://127.0.0.1:9/resnet18.pth"))
    with pytest.raises(DataError, match=r"cannot be downloaded.*set train\.options\.pretrained to a file"):
        pretrained.download(SOURCES["imagenet", 18], wait=0.0)
    with pytest.raises(DataError, match=r"put the file there yourself: .*weights.resnet18\.pth"):
        pretrained.download(SOURCES["imagenet", 18], wait=0.0)


def test_a_trained_model_is_loaded_without_the_file_it_started_from(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(_published(18), path)
    settings = Train(model="resnet18", options={"pretrained": str(path), "stem": 1})
    trained = build(_task(), 3, settings)
    path.unlink()
    build(_task(), 3, settings, pretrained=False).load_state_dict(trained.state_dict())
