"""Seconds per step of the published loops, on the CPU, for images of MNIST's shape (noise does as well, since time does not
depend on values). Networks and augmentation are those of the authors' checkouts, which are arguments; the loops around
them are written here after theirs.

    python benches/published/steps.py METHOD CHECKOUT [--threads N] [--steps N] [--ipc N]

METHOD and CHECKOUT: dm, dc, dsa, student with github.com/VICO-UoE/DatasetCondensation; mtt with
github.com/GeorgeCazenavette/mtt-distillation; datm with github.com/NUS-HPC-AI-Lab/DATM; idc with
github.com/snu-mllab/Efficient-Dataset-Condensation. The sizes are those of benches/steps.toml. One step more runs first and does
not count; the line that is printed has the median and the shortest. With --counts one step runs under torch's profiler, and the
operations that it dispatches are counted.
"""

import argparse
import importlib.util
import sys
import time
import types

import numpy as np
import torch
import torch.nn.functional as F

STRATEGY = "color_crop_cutout_scale_rotate"
CLASSES, WIDTH, SIDE = 10, 128, 28


def stubs(*names):
    """Modules that a checkout imports and these loops do not use."""
    absent = {top for top in {name.split(".")[0] for name in names} if importlib.util.find_spec(top) is None}
    for name in names:
        if name.split(".")[0] in absent:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__getattr__ = lambda _: None


def images(count):
    return torch.randn(count, 1, SIDE, SIDE)


def plain(batch):
    """A copy in the usual order: a crop of one channel has another, in which the networks cannot take their views."""
    return batch.clone(memory_format=torch.contiguous_format)


def augmentation(name="utils"):
    """A checkout's utilities, with an augmentation whose results are laid out plainly."""
    utils = importlib.import_module(name)
    original = utils.DiffAugment
    utils.DiffAugment = lambda *arguments, **named: plain(original(*arguments, **named))
    return utils


def dm(arguments):
    utils = augmentation()
    param = utils.ParamDiffAug()
    synthetic = images(CLASSES * arguments.ipc).requires_grad_(True)
    optimiser = torch.optim.SGD([synthetic], lr=1.0, momentum=0.5)

    def step():
        network = utils.get_network("ConvNet", 1, CLASSES, (SIDE, SIDE))
        network.train()
        for parameter in network.parameters():
            parameter.requires_grad = False
        loss = torch.tensor(0.0)
        for k in range(CLASSES):
            seed = int(np.random.randint(100000))
            real = utils.DiffAugment(images(256), STRATEGY, seed=seed, param=param)
            own = synthetic[k * arguments.ipc : (k + 1) * arguments.ipc]
            own = utils.DiffAugment(own, STRATEGY, seed=seed, param=param)
            loss = loss + ((network.embed(real).detach().mean(0) - network.embed(own).mean(0)) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def gradient_matching(arguments, augmented):
    """One turn of the outer loop of DC and DSA, without the network's training between two turns."""
    utils = augmentation()
    param = utils.ParamDiffAug()
    synthetic = images(CLASSES * arguments.ipc).requires_grad_(True)
    labels = torch.arange(CLASSES).repeat_interleave(arguments.ipc)
    optimiser = torch.optim.SGD([synthetic], lr=0.1, momentum=0.5)
    network = utils.get_network("ConvNet", 1, CLASSES, (SIDE, SIDE))
    network.train()
    parameters = list(network.parameters())
    criterion = torch.nn.CrossEntropyLoss()
    match = types.SimpleNamespace(dis_metric="ours", device="cpu")

    def step():
        loss = torch.tensor(0.0)
        for k in range(CLASSES):
            real, own = images(256), synthetic[k * arguments.ipc : (k + 1) * arguments.ipc]
            if augmented:
                seed = int(np.random.randint(100000))
                real = utils.DiffAugment(real, STRATEGY, seed=seed, param=param)
                own = utils.DiffAugment(own, STRATEGY, seed=seed, param=param)
            wanted = torch.autograd.grad(criterion(network(real), torch.full((256,), k)), parameters)
            wanted = [gradient.detach().clone() for gradient in wanted]
            got = criterion(network(own), torch.full((arguments.ipc,), k))
            got = torch.autograd.grad(got, parameters, create_graph=True)
            loss = loss + utils.match_loss(got, wanted, match)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def student(arguments):
    """20 epochs on a synthetic set and one pass over 10,000 test images; a step is all of it."""
    utils = augmentation()
    synthetic, labels = images(CLASSES * arguments.ipc), torch.arange(CLASSES).repeat_interleave(arguments.ipc)
    test = utils.TensorDataset(images(10000), torch.randint(CLASSES, (10000,)))
    loader = torch.utils.data.DataLoader(test, batch_size=256)
    settings = types.SimpleNamespace(
        device="cpu", lr_net=0.01, epoch_eval_train=19, batch_train=256, dsa=True, dsa_strategy=STRATEGY,
        dsa_param=utils.ParamDiffAug(), dc_aug_param=None)

    def step():
        network = utils.get_network("ConvNet", 1, CLASSES, (SIDE, SIDE))
        utils.evaluate_synset(0, network, synthetic, labels, loader, settings)

    return step


def trajectories(arguments, soft):
    """One iteration with 5 inner steps on all images; MTT has classes for labels, DATM learnt logits."""
    from networks import ConvNet
    from reparam_module import ReparamModule

    utils = augmentation("utils.utils_baseline" if soft else "utils")
    param = utils.ParamDiffAug()
    network = ReparamModule(ConvNet(1, CLASSES, WIDTH, 3, "relu", "instancenorm", "avgpooling", (SIDE, SIDE)))
    network.train()
    start = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    target = start + 0.01 * torch.randn_like(start)
    synthetic = images(CLASSES * arguments.ipc).requires_grad_(True)
    classes = torch.arange(CLASSES).repeat_interleave(arguments.ipc)
    labels = (4.0 * F.one_hot(classes, CLASSES).float()).requires_grad_(True) if soft else classes
    rate = torch.tensor(0.01, requires_grad=True)
    learnt = [synthetic, rate] + ([labels] if soft else [])
    optimiser = torch.optim.SGD(learnt, lr=1e-3, momentum=0.5)

    def criterion(logits, wanted):
        if soft:
            return -(F.log_softmax(logits, 1) * F.softmax(wanted, 1)).sum() / len(logits)
        return F.cross_entropy(logits, wanted)

    def step():
        thetas = [start.clone().requires_grad_(True)]
        for _ in range(5):
            chosen = torch.randperm(len(synthetic))
            seen = utils.DiffAugment(synthetic[chosen], STRATEGY, param=param)
            loss = criterion(network(seen, flat_param=thetas[-1]), labels[chosen])
            gradient = torch.autograd.grad(loss, thetas[-1], create_graph=True)[0]
            thetas.append(thetas[-1] - rate * gradient)
        loss = F.mse_loss(thetas[-1], target, reduction="sum") / F.mse_loss(start, target, reduction="sum")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def idc(arguments):
    """One turn of the inner loop: a step of each class's images, decoded by factor 2, then a lesson of the network on 256 real
    images. The distance is the mean absolute difference of gradients, by tensor and first axis."""
    from misc.augment import DiffAug
    from models.convnet import ConvNet

    matching = DiffAug(strategy="color_crop_cutout_flip_scale_rotate", batch=True)
    training = DiffAug(strategy="color_crop_flip_scale_rotate", batch=False)
    network = ConvNet(CLASSES, net_norm="instance", net_depth=3, net_width=WIDTH, channel=1, im_size=(SIDE, SIDE))
    network.train()
    parameters = list(network.parameters())
    of_network = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4)
    synthetic = torch.rand(CLASSES * arguments.ipc, 1, SIDE, SIDE, requires_grad=True)
    optimiser = torch.optim.SGD([synthetic], lr=5e-3, momentum=0.5)
    criterion = torch.nn.CrossEntropyLoss()
    half = SIDE // 2

    def decoded(own):
        quarters = [own[:, :, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
        return F.interpolate(torch.cat(quarters), size=(SIDE, SIDE), mode="bilinear")

    def step():
        for k in range(CLASSES):
            real, own = torch.rand(64, 1, SIDE, SIDE), synthetic[k * arguments.ipc : (k + 1) * arguments.ipc]
            seen = plain(matching(torch.cat([real, decoded(own)])))
            wanted = torch.autograd.grad(criterion(network(seen[:64]), torch.full((64,), k)), parameters)
            got = criterion(network(seen[64:]), torch.full((len(seen) - 64,), k))
            got = torch.autograd.grad(got, parameters, create_graph=True)
            pairs = [(a.detach(), b) for a, b in zip(wanted, got) if a.dim() not in (1, 2)]
            loss = sum((a - b).abs().reshape(len(a), -1).mean(-1).sum() for a, b in pairs)
            loss.item()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        for _ in range(4):
            seen, labels = plain(training(torch.rand(64, 1, SIDE, SIDE))), torch.randint(CLASSES, (64,))
            loss = criterion(network(seen), labels)
            of_network.zero_grad()
            loss.backward()
            of_network.step()
            loss.item()

    return step


METHODS = {
    "dm": dm,
    "dc": lambda arguments: gradient_matching(arguments, False),
    "dsa": lambda arguments: gradient_matching(arguments, True),
    "student": student,
    "mtt": lambda arguments: trajectories(arguments, False),
    "datm": lambda arguments: trajectories(arguments, True),
    "idc": idc,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("checkout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--counts", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sys.path.insert(0, arguments.checkout)
    stubs("kornia", "kornia.augmentation", "wandb", "torchvision", "torchvision.transforms", "torchvision.utils",
          "torchvision.datasets", "scipy", "scipy.ndimage", "tqdm", "hyper_params")
    torch.manual_seed(0)
    step = METHODS[arguments.method](arguments)
    step()
    if arguments.counts:
        with torch.profiler.profile() as profile:
            step()
        calls = {entry.key: entry.count for entry in profile.key_averages() if entry.key.startswith("aten::")}
        reads = calls.get("aten::_local_scalar_dense", 0)
        print(f"{arguments.method} operations {sum(calls.values())} reads of one number {reads}")
        return
    took = []
    for _ in range(arguments.steps):
        begun = time.perf_counter()
        step()
        took.append(time.perf_counter() - begun)
    median = sorted(took)[len(took) // 2]
    print(f"{arguments.method} on {arguments.threads} threads: median {median:.3f} s, shortest {min(took):.3f} s of {arguments.steps}")


if __name__ == "__main__":
    main()
