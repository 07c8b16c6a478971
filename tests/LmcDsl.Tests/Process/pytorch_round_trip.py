"""Writes models as PyTorch does, and checks what comes back.

    pytorch_round_trip.py write FOLDER     a.pt, b.pt (ResNet20 with the usual CIFAR names), m1.pt, m2.pt (nn.Sequential), half.pt
    pytorch_round_trip.py check FOLDER     b-aligned.safetensors, merged.safetensors, m-aligned.safetensors
"""
import json
import struct
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean(dim=(2, 3)))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def seeded(make, seed):
    """A model with nothing left as it is initialised, so that no symmetry is there by chance."""
    torch.manual_seed(seed)
    model = make().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(seed + 7)
    return model


def read_safetensors(path):
    types = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I64": np.int64}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        body = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = torch.from_numpy(np.frombuffer(body[start:end], types[entry["dtype"]]).reshape(entry["shape"]).copy())
    return tensors


def write(folder):
    a, b = seeded(ResNet20, 0), seeded(ResNet20, 1)
    torch.save(a.state_dict(), f"{folder}/a.pt")
    torch.save({"epoch": 3, "state_dict": b.state_dict(), "note": "nested"}, f"{folder}/b.pt")
    torch.save(nn.DataParallel(seeded(mlp, 0)).state_dict(), f"{folder}/m1.pt")
    torch.save(seeded(mlp, 1).state_dict(), f"{folder}/m2.pt")
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in seeded(mlp, 2).state_dict().items()}, f"{folder}/half.pt")
    torch.save(seeded(mlp, 0), f"{folder}/whole.pt")  # a pickled module, which must be refused


def largest_difference(make, one, other, shape):
    torch.manual_seed(5)
    inputs = torch.randn(64, *shape)
    with torch.no_grad():
        outputs = []
        for state in (one, other):
            model = make().eval()
            model.load_state_dict(state)
            outputs.append(model(inputs))
    return float((outputs[0] - outputs[1]).abs().max())


def check(folder):
    a = torch.load(f"{folder}/a.pt")
    b = torch.load(f"{folder}/b.pt")["state_dict"]
    aligned = read_safetensors(f"{folder}/b-aligned.safetensors")
    assert list(aligned) == list(b), "names and their order"
    assert all(aligned[k].dtype == b[k].dtype for k in b), "types"
    assert int(aligned["bn1.num_batches_tracked"]) == 8, "counters are kept"
    assert not torch.equal(aligned["conv1.weight"], b["conv1.weight"]), "something was permuted"
    difference = largest_difference(ResNet20, b, aligned, (3, 32, 32))
    assert difference < 1e-5, f"the aligned model computes the same: {difference}"

    merged = read_safetensors(f"{folder}/merged.safetensors")
    for key in b:
        if not key.endswith("num_batches_tracked"):
            mean = (a[key].double() + aligned[key].double()) / 2
            assert (merged[key].double() - mean).abs().max() < 1e-6, f"the mean: {key}"
    largest_difference(ResNet20, merged, merged, (3, 32, 32))  # loads

    m2, moved = torch.load(f"{folder}/m2.pt"), read_safetensors(f"{folder}/m-aligned.safetensors")
    assert largest_difference(mlp, m2, moved, (1, 28, 28)) < 1e-5, "the aligned MLP computes the same"
    half = read_safetensors(f"{folder}/half-aligned.safetensors")
    assert all(v.dtype == torch.float16 for v in half.values()), "half stays half"
    print(f"ok, largest difference {difference:.2g}")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2])
