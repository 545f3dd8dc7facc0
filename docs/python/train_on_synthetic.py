"""Trains networks on a synthetic set that ddpipe made, and tests them on a data set. Needs PyTorch and nothing else.

    ddpipe show pipelines/quickstart.toml distill --output synthetic --out synthetic.safetensors
    ddpipe show pipelines/quickstart.toml test_set --output dataset --out test.safetensors
    python3 train_on_synthetic.py synthetic.safetensors test.safetensors --epochs 60

The network and the training are those of `evaluate.classifier` with arch = "mlp" and its defaults, so that the accuracy
is the one that ddpipe reports, up to the random numbers.
"""

import argparse
import json

import torch
from torch import nn
from torch.nn import functional as F

DTYPES = {
    "U8": torch.uint8,
    "I64": torch.int64,
    "F32": torch.float32,
    "F64": torch.float64,
}


def load(path):
    """The type, the description and the tensors of a file. `safetensors.torch.load_file` gives the tensors too."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    described = json.loads(header.pop("__metadata__")["ddpipe"])
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(data[start:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return described["type"], described["about"], tensors


def per_channel(values):
    return torch.tensor(values).view(1, -1, 1, 1)


def network_input(about, tensors):
    """[N,C,H,W] float32: what a network is given for the raw images of a `dataset`."""
    normalisation = about["normalisation"]
    images = tensors["images"].float() / about["scale"]
    images = (images - per_channel(normalisation["mean"])) / per_channel(normalisation["std"])
    if "whitening_matrix" in tensors:
        flat = images.flatten(1) - tensors["whitening_mean"]
        images = (flat @ tensors["whitening_matrix"]).view_as(images)
    return images


def pictures(about, tensors):
    """[M,C,H,W] in about [0,1]: what the normalised images of a `synthetic` set look like."""
    normalisation = about["normalisation"]
    images = tensors["images"]
    if "whitening_inverse" in tensors:
        flat = images.flatten(1) @ tensors["whitening_inverse"] + tensors["whitening_mean"]
        images = flat.view_as(images)
    return images * per_channel(normalisation["std"]) + per_channel(normalisation["mean"])


def mlp(shape, classes):
    """Two hidden layers of 128 units, initialised as PyTorch does by default."""
    pixels = shape[0] * shape[1] * shape[2]
    layers = [nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes)]
    return nn.Sequential(nn.Flatten(), *layers)


def optimiser(network, rate):
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=0.0005)


def loss_of(output, labels, targets):
    """Cross entropy with classes or probabilities; half the squared distance from regression targets."""
    if targets:
        return 0.5 * (output - labels).square().sum(1).mean()
    return F.cross_entropy(output, labels)


def train(network, images, labels, targets, epochs, rate=0.01, batch=256):
    """The published protocol: one epoch more than `epochs`, and a tenth of the rate after epoch epochs/2+1."""
    current = optimiser(network, rate)
    for epoch in range(epochs + 1):
        if epoch == epochs // 2 + 2:
            current = optimiser(network, rate * 0.1)  # with an empty velocity
        for positions in torch.randperm(len(images)).split(batch):
            current.zero_grad()
            loss_of(network(images[positions]), labels[positions], targets).backward()
            current.step()


@torch.no_grad()
def accuracy(network, images, labels):
    right = sum((network(part).argmax(1) == own).sum() for part, own in zip(images.split(1000), labels.split(1000)))
    return int(right) / len(images)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("synthetic")
    parser.add_argument("test")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--networks", type=int, default=5)
    arguments = parser.parse_args()

    kind, about, tensors = load(arguments.synthetic)
    if kind == "synthetic":
        if "decoder" in about:
            raise SystemExit("this set is factorised: pass it through a stage of kind decode.synthetic first")
        images = tensors["images"]  # float32, normalised already
    else:
        images = network_input(about, tensors)
    labels, targets = tensors["labels"], about.get("targets", False)
    test_kind, test_about, test = load(arguments.test)
    if test_kind != "dataset":
        raise SystemExit(f"{arguments.test} is a {test_kind}; a dataset is needed")
    test_images, test_labels = network_input(test_about, test), test["labels"]

    accuracies = []
    for seed in range(arguments.networks):
        torch.manual_seed(seed)
        network = mlp(images.shape[1:], about["classes"])
        train(network, images, labels, targets, arguments.epochs)
        accuracies.append(accuracy(network, test_images, test_labels))
    mean = sum(accuracies) / len(accuracies)
    print(json.dumps({"accuracy": mean, "accuracies": accuracies}))


if __name__ == "__main__":
    main()
