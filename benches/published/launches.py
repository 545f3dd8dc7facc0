"""Counts what a step of the published loops asks of PyTorch, as `cargo bench --bench launches` counts it for ddpipe.

    python benches/published/launches.py CHECKOUT [dm dc dsa student]

CHECKOUT is a checkout of VICO-UoE/DatasetCondensation, whose networks, augmentation and losses are called; the loops below
are those of its main_DM.py, main.py and utils.py, on noise of 28x28 in ten classes, 256 real images a class and 10 images per
class, with a network of width 8: how many operations there are does not depend on it. It needs PyTorch and runs on a CPU.

An operation counts as a launch if it computes or copies and calls no other that does; giving memory and giving a tensor
another shape are none. A read is a call of `item`, `cpu` or `tolist`, or an operation that waits for its result on a GPU.
Copies to the device cannot be seen on a CPU and are left out.
"""

import sys
import time
import types

import torch
from torch.profiler import ProfilerActivity, profile

CLASSES, IPC, BATCH, WARM, STEPS, INNER = 10, 10, 256, 1, 15, 5
STRATEGY = "color_crop_cutout_scale_rotate"
ON_HOST = {"as_strided_", "squeeze_", "unsqueeze_", "transpose_", "t_", "detach_", "set_", "result_type", "scalar_tensor"}
WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::bincount", "aten::equal"}

checkout, wanted = sys.argv[1], sys.argv[2:] or ["dm", "dc", "dsa", "student"]
sys.path.insert(0, checkout)
sys.modules.setdefault("kornia", types.ModuleType("kornia"))
import utils  # noqa: E402

utils.get_default_convnet_setting = lambda: (8, 3, "relu", "instancenorm", "avgpooling")
torch.set_num_threads(1)
augmented_by = utils.DiffAugment


def of_usual_strides(images, *args, **kwargs):
    """Images of one channel leave a crop with strides that convolutions on a CPU take for another format."""
    images = augmented_by(images, *args, **kwargs)
    return images.view(-1).view(images.shape)


utils.DiffAugment = of_usual_strides

reads = 0


def counted(method):
    def call(*args, **kwargs):
        global reads
        reads += 1
        return method(*args, **kwargs)

    return call


# `item` is an operation, which the profiler sees.
for name in ("cpu", "tolist"):
    setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))

views = {}


def is_view(name):
    if name not in views:
        packet = getattr(torch.ops.aten, name.removeprefix("aten::"), None)
        overloads = [getattr(packet, overload)._schema for overload in packet.overloads()] if packet else []
        results = [result.alias_info for schema in overloads for result in schema.returns]
        views[name] = name.removeprefix("aten::") in ON_HOST or any(alias is not None and not alias.is_write for alias in results)
    return views[name]


def launches(event):
    """How many launches an event and those within it are, and whether the host waits for any."""
    below, waits = 0, 0
    for child in event.cpu_children:
        more, waiting = launches(child)
        below, waits = below + more, waits + waiting
    if not event.name.startswith("aten::"):
        return below, waits
    # What these two ask the host about on a CPU, nobody asks on a GPU.
    waits = 0 if event.name in ("aten::one_hot", "aten::_cholesky_solve_helper") else waits + (event.name in WAITING)
    allocates = event.name.startswith(("aten::empty", "aten::new_empty", "aten::resize"))
    own = below == 0 and not allocates and not is_view(event.name)
    return below + own, waits


def report(name, step, count=STEPS):
    global reads
    for _ in range(WARM):
        step()
    reads = 0
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(count):
            step()
    outermost = [event for event in profiled.events() if event.cpu_parent is None]
    found = [launches(event) for event in outermost]
    all_launches, waits = (sum(column) for column in zip(*found))
    print(f"| {name} | {count} | {all_launches / count:.0f} | {(waits + reads) / count:.1f} |", flush=True)


real = torch.randn(CLASSES, BATCH, 1, 28, 28)
labels = torch.arange(CLASSES).repeat_interleave(IPC)
param = utils.ParamDiffAug()


def both(c, synthetic, augmented):
    images = real[c][torch.randperm(BATCH).numpy()]
    own = synthetic[c * IPC : (c + 1) * IPC].reshape(IPC, 1, 28, 28)
    if augmented:
        seed = int(time.time() * 1000) % 100000
        images = utils.DiffAugment(images, STRATEGY, seed=seed, param=param)
        own = utils.DiffAugment(own, STRATEGY, seed=seed, param=param)
    return images, own


def dm():
    synthetic = torch.randn(CLASSES * IPC, 1, 28, 28, requires_grad=True)
    optimizer = torch.optim.SGD([synthetic], lr=1.0, momentum=0.5)

    def step():
        net = utils.get_network("ConvNet", 1, CLASSES, (28, 28))
        net.train()
        for parameter in list(net.parameters()):
            parameter.requires_grad = False
        loss = torch.tensor(0.0)
        for c in range(CLASSES):
            images, own = both(c, synthetic, True)
            difference = torch.mean(net.embed(images).detach(), dim=0) - torch.mean(net.embed(own), dim=0)
            loss += torch.sum(difference**2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    report("dm", step)


def gradient_matching(name, augmented):
    synthetic = torch.randn(CLASSES * IPC, 1, 28, 28, requires_grad=True)
    optimizer = torch.optim.SGD([synthetic], lr=0.1, momentum=0.5)
    args = types.SimpleNamespace(
        dis_metric="ours", device="cpu", dsa=augmented, dsa_strategy=STRATEGY, dsa_param=param, dc_aug_param=None
    )
    net = utils.get_network("ConvNet", 1, CLASSES, (28, 28))
    net.train()
    parameters, criterion = list(net.parameters()), torch.nn.CrossEntropyLoss()
    of_net = torch.optim.SGD(net.parameters(), lr=0.01)

    def step():
        loss = torch.tensor(0.0)
        for c in range(CLASSES):
            images, own = both(c, synthetic, augmented)
            of_real, of_own = (torch.ones((x.shape[0],), dtype=torch.long) * c for x in (images, own))
            wanted = torch.autograd.grad(criterion(net(images), of_real), parameters)
            wanted = list(gradient.detach().clone() for gradient in wanted)
            found = torch.autograd.grad(criterion(net(own), of_own), parameters, create_graph=True)
            loss += utils.match_loss(found, wanted, args)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        dataset = utils.TensorDataset(synthetic.detach().clone(), labels.clone())
        loader = torch.utils.data.DataLoader(dataset, batch_size=256, shuffle=True, num_workers=0)
        for _ in range(INNER):
            utils.epoch("train", loader, net, of_net, criterion, args, aug=augmented)

    report(name, step)


def student():
    args = types.SimpleNamespace(device="cpu", dsa=True, dsa_strategy=STRATEGY, dsa_param=param, dc_aug_param=None)
    net = utils.get_network("ConvNet", 1, CLASSES, (28, 28))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    dataset = utils.TensorDataset(torch.randn(CLASSES * IPC, 1, 28, 28), labels)
    loader = torch.utils.data.DataLoader(dataset, batch_size=256, shuffle=True, num_workers=0)
    criterion = torch.nn.CrossEntropyLoss()
    report("student, dsa", lambda: utils.epoch("train", loader, net, optimizer, criterion, args, aug=True), 60)


print("| loop | steps | launches | reads |\n|---|--:|--:|--:|")
known = {
    "dm": dm,
    "dc": lambda: gradient_matching("dc", False),
    "dsa": lambda: gradient_matching("dsa", True),
    "student": student,
}
for name in wanted:
    known[name]()
