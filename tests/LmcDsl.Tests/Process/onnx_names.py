"""Exports small networks as a user does who asks for nothing, so that names are lost: hard cases of finding them again.

    onnx_names.py FOLDER     for each case NAME.onnx, NAME.pt, NAME.io.pt, NAME.kept.onnx (its names kept)
A case whose name begins with "refused" leaves several ways, or none.
"""
import sys
import warnings

import onnx
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(2)
warnings.filterwarnings("ignore")


def drawn(module):
    """Numbers that are nothing special: no symmetry is there by chance."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point():
                value.normal_(0, 0.3)
                if value.dim() == 1 and name.endswith("weight"):
                    value.add_(1)
    return module.eval()


class Norms(nn.Module):
    """Norms after convolutions of every kind, with another epsilon, without a scale, and before a convolution, where none is folded."""

    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8, eps=1e-3)
        self.depthwise, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8, affine=False)
        self.before, self.grouped, self.norm3 = nn.BatchNorm2d(8), nn.Conv2d(8, 12, 1, groups=2), nn.BatchNorm2d(12, eps=0.3)
        self.line, self.norm4 = nn.Conv1d(12, 12, 3, padding=1), nn.BatchNorm1d(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        y = F.relu(self.norm1(self.first(x)))
        y = F.relu(self.norm2(self.depthwise(y)))
        y = F.relu(self.norm3(self.grouped(self.before(y))))
        return self.head(F.relu(self.norm4(self.line(y.flatten(2)))).mean(2))


class Attention(nn.Module):
    """Queries of one sequence, keys and values of another: one weight, taken in parts."""

    def __init__(self):
        super().__init__()
        self.embed, self.other = nn.Linear(5, 12), nn.Linear(5, 12)
        self.attention, self.head = nn.MultiheadAttention(12, 3, batch_first=True), nn.Linear(12, 4)

    def forward(self, x):
        y = self.embed(x)
        return self.head(self.attention(y, self.other(x), self.other(x).tanh(), need_weights=False)[0].mean(1))


class Equal(nn.Module):
    """Weights of equal numbers, and a matrix that is its own transpose."""

    def __init__(self):
        super().__init__()
        self.start, self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.Linear(6, 4)
        self.norm1, self.norm2 = nn.LayerNorm(6), nn.LayerNorm(6)

    def forward(self, x):
        y = torch.tanh(self.start(x))
        return self.head((y + self.norm1(torch.tanh(self.one(y))) + self.norm2(torch.tanh(self.two(y)))).mean(1))


def equal():
    model = drawn(Equal())
    with torch.no_grad():
        model.one.weight.zero_()
        model.two.weight.zero_()
        for norm in (model.norm1, model.norm2):
            norm.weight.fill_(1)
            norm.bias.zero_()
    return model


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(6, 8, batch_first=True, **options)
        self.head = nn.Linear(8 * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def zero_biases():
    model = drawn(Recurrent(nn.LSTM, num_layers=2))
    with torch.no_grad():
        for name, value in model.rnn.named_parameters():
            if "bias" in name:
                value.zero_()
    return model


class Masked(nn.Module):
    """A causal mask that is no part of the state dict, and a table of relative places."""

    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(5, 12), nn.Linear(12, 36), nn.Linear(12, 4)
        self.table = nn.Parameter(torch.randn(11, 3))
        self.register_buffer("mask", torch.triu(torch.full((6, 6), -1e9), 1), persistent=False)
        place = torch.arange(6)
        self.register_buffer("places", place[:, None] - place[None] + 5)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.embed(x)).view(b, n, 3, 3, 4).permute(2, 0, 3, 1, 4)
        bias = self.table[self.places.view(-1)].view(n, n, -1).permute(2, 0, 1)[None] + 0.5 * self.mask
        y = F.softmax(q @ k.transpose(-2, -1) / 2 + bias, -1) @ v
        return self.head(y.transpose(1, 2).reshape(b, n, 12).mean(1))


class Places(Masked):
    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.embed(x)).view(b, n, 3, 3, 4).permute(2, 0, 3, 1, 4)
        bias = self.table[self.places.view(-1)].view(n, n, -1).permute(2, 0, 1)[None]
        y = F.softmax(q @ k.transpose(-2, -1) / 2 + bias + 0.5 * self.mask, -1) @ v
        return self.head(y.transpose(1, 2).reshape(b, n, 12).mean(1))


def repeated():
    """Two rows of the table are equal: which of them stands where, numbers do not tell."""
    model = drawn(Places())
    with torch.no_grad():
        model.table[5] = model.table[2]
    return model


class Scaled(nn.Module):
    """A weight that the export has computed of two: nothing of the checkpoint has its numbers."""

    def __init__(self):
        super().__init__()
        self.direction, self.size, self.head = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.rand(6, 1) + 1), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(torch.tanh(x @ (self.direction * self.size).t()).mean(1))


class Reshaped(nn.Module):
    """A weight that is read as it is, and as a matrix of which the export has made a tensor of its own."""

    def __init__(self):
        super().__init__()
        self.weight, self.u, self.head = nn.Parameter(torch.randn(2, 5, 3)), nn.Parameter(torch.randn(10)), nn.Linear(3, 4)

    def forward(self, x):
        sigma = torch.matmul(self.u, self.weight.reshape(10, 3)).pow(2).sum()
        return self.head(torch.tanh(torch.matmul(x.unsqueeze(1), self.weight) / sigma).mean((1, 2)))


class Wrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


class Pair(nn.Module):
    """Convolutions of one shape whose norms are as they began."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))).mean((2, 3)))


def half_told():
    """One norm is as it began; the other is told by its numbers, and so leaves one place."""
    model = Pair().eval()
    drawn(model.bn1)
    return model


def pruned():
    """Norms that differ in one channel's scale alone, which is pruned after the second convolution: it could be either's, the first cannot."""
    model = drawn(Pair())
    with torch.no_grad():
        model.bn1.running_mean[0] = 0
        model.bn2.load_state_dict(model.bn1.state_dict())
        model.bn2.weight[0] += 1
        model.conv2.weight[0] = 0
        if model.conv2.bias is not None:
            model.conv2.bias[0] = 0
    return model


class Gains(nn.Module):
    """Norms of which exports keep the names, after one that is folded into a convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.folded = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.norm1, self.norm2, self.head = nn.LayerNorm(8), nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.norm2(torch.relu(self.norm1(self.folded(self.conv(x))))).mean((1, 2)))


def swapped(state):
    """As of another model that happens to have all these numbers, under each other's names."""
    return {name.replace("norm1", "norm0").replace("norm2", "norm1").replace("norm0", "norm2"): value for name, value in state.items()}


class Two(nn.Module):
    """Two outputs, of which the second reads the units of the first, or is what they are read of."""

    def __init__(self, inner):
        super().__init__()
        self.one, self.two, self.first, self.second, self.inner = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 4), inner

    def forward(self, x):
        y = self.two(torch.relu(self.one(x)))
        return (y, self.first(torch.tanh(y))) if self.inner else (self.first(torch.relu(y)), self.second(torch.relu(y)))


IMAGE, STEPS = (1, 3, 8, 8), (1, 6, 5)


def anonymous(path):
    """As exports of before PyTorch 1.13: nodes have numbers in the place of their modules."""
    model = onnx.load(path)
    for k, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{k}"
    onnx.save(model, path)


def renamed(path):
    """As optimisers do that keep a weight's name when they fold a norm into it."""
    model = onnx.load(path)
    weights = {"/conv1/Conv": "conv1.weight", "/conv2/Conv": "conv2.weight"}
    for node in model.graph.node:
        if node.name in weights:
            for k, name in ((1, weights[node.name]), (2, weights[node.name] + "_bias")):
                for tensor in model.graph.initializer:
                    if tensor.name == node.input[k]:
                        tensor.name = name
                node.input[k] = name
    onnx.save(model, path)


def whole_dict(state):
    return state


CASES = {
    "norms": (lambda: drawn(Norms()), IMAGE),
    "attention": (lambda: drawn(Attention()), STEPS),
    "equal": (equal, (1, 3, 6)),
    "refused-equal": (equal, (1, 3, 6), anonymous),
    "anonymous": (lambda: drawn(Norms()), IMAGE, anonymous),
    "zero-biases": (zero_biases, (1, 7, 6)),
    "no-biases": (lambda: drawn(Recurrent(nn.GRU, bias=False)), (1, 7, 6)),
    "both-ways": (lambda: drawn(Recurrent(nn.LSTM, bidirectional=True)), (1, 7, 6)),
    "plain-rnn": (lambda: drawn(Recurrent(nn.RNN)), (1, 7, 6)),
    "places": (lambda: drawn(Places()), STEPS),
    "refused-rows": (repeated, STEPS),
    "refused-mixed": (lambda: drawn(Masked()), STEPS),
    "refused-scaled": (lambda: drawn(Scaled()), STEPS),
    "refused-reshaped": (lambda: drawn(Reshaped()), STEPS),
    "refused-fresh": (lambda: Pair().eval(), IMAGE),
    "half-told": (half_told, IMAGE),
    "pruned": (pruned, IMAGE),
    "renamed": (lambda: drawn(Pair()), IMAGE, renamed),
    "wrapped": (lambda: drawn(Wrapper(Norms())), IMAGE, None, lambda state: {name.removeprefix("model."): value for name, value in state.items()}),
    "wrapped-equal": (lambda: Wrapper(equal()).eval(), (1, 3, 6), None, lambda state: {name.removeprefix("model."): value for name, value in state.items()}),
    "nested": (lambda: drawn(Norms()), IMAGE, None, lambda state: {"epoch": 3, "state_dict": {f"model.{name}": value for name, value in state.items()}}),
    "half": (lambda: drawn(Norms()), IMAGE, None, lambda state: {name: value.half() if value.is_floating_point() else value for name, value in state.items()}),
    "refused-other": (lambda: drawn(Norms()), IMAGE, None, lambda state: {name: value + 0.5 if value.is_floating_point() else value for name, value in state.items()}),
    "refused-swapped": (lambda: drawn(Gains()), IMAGE, None, swapped),
}

if __name__ == "__main__":
    kept = dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    for name, (make, shape, *changes) in CASES.items():
        torch.manual_seed(1)
        model = make()
        x = torch.randn(shape)
        path = f"{sys.argv[1]}/{name}.onnx"
        torch.onnx.export(model, x, path, opset_version=13)
        torch.onnx.export(model, x, f"{sys.argv[1]}/{name}.kept.onnx", opset_version=13, **kept)
        if changes and changes[0]:
            changes[0](path)
        torch.save((changes[1] if len(changes) > 1 else whole_dict)(model.state_dict()), f"{sys.argv[1]}/{name}.pt")
        with torch.no_grad():
            torch.save({"input": x, "output": model(x)}, f"{sys.argv[1]}/{name}.io.pt")
        print(name, flush=True)
    for name in ("two-heads", "two-inner"):
        two = drawn(Two(name == "two-inner"))
        torch.save(two.state_dict(), f"{sys.argv[1]}/{name}.pt")
        torch.onnx.export(two, torch.randn(1, 5), f"{sys.argv[1]}/{name}.onnx", output_names=["a", "b"], **kept)
