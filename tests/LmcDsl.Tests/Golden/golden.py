"""Numbers from outside: what two tiny trained networks give by the definitions of docs/definitions.md, in float64.

    python3 golden.py compute FOLDER    the numbers as JSON, from the models and the data in FOLDER
    python3 golden.py train FOLDER      draws the data, trains the models, writes them, and the numbers beside them

Needs PyTorch and NumPy and nothing else. It shares nothing with the library but the files: it was written from the definitions,
so that the two can be wrong together only where the definitions are.
"""

import json
import struct
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F

CLASSES = 4
IMAGE = [2, 6, 6]
POINTS = 9  # lambdas of a barrier, both ends included
RESET_EXAMPLES = 64  # training images on which a point's statistics are recomputed
SPLIT_RESET = {"examples": 90, "batch": 40}  # batches of 40, 40 and 10
GAMMAS = [0.0, 0.3]


# Files


def read(path):
    """Tensors of a safetensors file by name: float32 becomes float64."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    kinds = {"F32": numpy.float32, "I64": numpy.int64}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        part = content[8 + length + start : 8 + length + end]
        array = numpy.frombuffer(part, kinds[entry["dtype"]]).reshape(entry["shape"]).copy()
        tensors[name] = torch.from_numpy(array).double() if entry["dtype"] == "F32" else torch.from_numpy(array)
    return tensors


def write(path, tensors, metadata):
    """The same, the other way round: float64 becomes float32."""
    header, body = {"__metadata__": metadata} if metadata else {}, b""
    for name, tensor in tensors.items():
        kind = "I64" if tensor.dtype == torch.int64 else "F32"
        array = tensor.numpy() if kind == "I64" else tensor.float().numpy()
        part = numpy.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


# The two networks. `taps`, where given, takes the outputs of layers by name.


def mlp(p, x, training=False, taps=None):
    x = x.flatten(1)
    for k in (1, 2):
        x = F.relu(F.linear(x, p[f"fc{k}.weight"], p[f"fc{k}.bias"]))
        if taps is not None:
            taps[f"relu{k}"] = x
    return F.linear(x, p["fc3.weight"], p["fc3.bias"])


def resnet(p, x, training=False, taps=None):
    """Stem, a block of the same width, a block of half the side with a 1x1 convolution as its shortcut, mean, dense."""

    def convolve(name, x, stride=1):
        weight = p[f"{name}.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2)
        if taps is not None:
            taps[name] = x
        norm = lambda what: p[f"{name}.norm.{what}"]
        if training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        else:
            mean, variance = norm("running_mean"), norm("running_var")
        column = lambda v: v.reshape(1, -1, 1, 1)
        return (x - column(mean)) / torch.sqrt(column(variance) + 1e-5) * column(norm("weight")) + column(norm("bias"))

    def keep(name, x):
        if taps is not None:
            taps[name] = x
        return x

    x = keep("stem.relu", F.relu(convolve("stem", x)))
    inner = keep("stage1.1.conv1.relu", F.relu(convolve("stage1.1.conv1", x)))
    x = keep("stage1.1.relu", F.relu(convolve("stage1.1.conv2", inner) + x))
    inner = keep("stage2.1.conv1.relu", F.relu(convolve("stage2.1.conv1", x, 2)))
    x = F.relu(convolve("stage2.1.conv2", inner) + convolve("stage2.1.shortcut", x, 2))
    x = keep("flatten", x.mean((2, 3)))
    return F.linear(x, p["fc.weight"], p["fc.bias"])


# Of each network: its groups of units, by name: where activations are read, and which axes move (parameter, dimension).

GROUPS = {
    "mlp": {
        f"fc{k}": {"taps": [f"relu{k}"], "axes": [(f"fc{k}.weight", 0), (f"fc{k}.bias", 0), (f"fc{k + 1}.weight", 1)]}
        for k in (1, 2)
    },
    "resnet": {
        "stem": {
            "taps": ["stem.relu", "stage1.1.relu"],
            "axes": [("stage1.1.conv1.weight", 1), ("stage2.1.conv1.weight", 1), ("stage2.1.shortcut.weight", 1)],
            "made by": ["stem", "stage1.1.conv2"],
        },
        "stage1.1.conv1": {
            "taps": ["stage1.1.conv1.relu"], "axes": [("stage1.1.conv2.weight", 1)], "made by": ["stage1.1.conv1"],
        },
        "stage2.1.conv1": {
            "taps": ["stage2.1.conv1.relu"], "axes": [("stage2.1.conv2.weight", 1)], "made by": ["stage2.1.conv1"],
        },
        "stage2.1.conv2": {
            "taps": ["flatten"], "axes": [("fc.weight", 1)], "made by": ["stage2.1.conv2", "stage2.1.shortcut"],
        },
    },
}

for group in GROUPS["resnet"].values():
    for name in group["made by"]:
        group["axes"].append((f"{name}.weight", 0))
        group["axes"] += [(f"{name}.norm.{what}", 0) for what in ("weight", "bias", "running_mean", "running_var")]

FORWARD = {"mlp": mlp, "resnet": resnet}


def is_statistic(name):
    return name.endswith(("running_mean", "running_var"))


def learned(p):
    return {name: tensor for name, tensor in p.items() if not is_statistic(name)}


# The definitions


def score(forward, p, images, labels):
    with torch.no_grad():
        logits = forward(p, images)
    loss = F.cross_entropy(logits, labels).item()
    return {"loss": loss, "accuracy": (logits.argmax(1) == labels).double().mean().item()}


def distance(a, b):
    return sum(((a[name] - b[name]) ** 2).sum().item() for name in learned(a)) ** 0.5


def alignment(a, b, gamma):
    """R: of each weight the kept singular vectors' agreement and their number; in total one quotient."""
    layers, agreements, counts = {}, 0.0, 0
    for name in a:
        if not name.endswith(".weight") or a[name].dim() < 2:
            continue
        sides = []
        for p in (a, b):
            u, s, vt = numpy.linalg.svd(p[name].flatten(1).numpy(), full_matrices=False)
            kept = int((s >= gamma * s[0]).sum())
            sides.append((u[:, :kept], vt[:kept].T))
        (u, v), (w, z) = sides
        agreement, count = float(((u.T @ w) * (v.T @ z)).sum()), min(u.shape[1], w.shape[1])
        layers[name] = agreement / count
        agreements, counts = agreements + agreement, counts + count
    return {"total": agreements / counts, "layers": layers}


def reset(forward, p, images, batch):
    """Statistics as the average over batches of the batch's own; of variances the unbiased ones, as PyTorch keeps them."""
    norms = [name[: -len(".norm.running_mean")] for name in p if name.endswith(".norm.running_mean")]
    sums = {name: [0.0, 0.0] for name in norms}
    parts = images.split(batch)
    for part in parts:
        taps = {}
        with torch.no_grad():
            forward(p, part, training=True, taps=taps)
        for name in norms:
            sums[name][0] = sums[name][0] + taps[name].mean((0, 2, 3))
            sums[name][1] = sums[name][1] + taps[name].var((0, 2, 3), unbiased=True)
    result = dict(p)
    for name in norms:
        result[f"{name}.norm.running_mean"] = sums[name][0] / len(parts)
        result[f"{name}.norm.running_var"] = sums[name][1] / len(parts)
    return result


def mixture(a, b, share):
    return {name: share * a[name] + (1 - share) * b[name] for name in a}


def barrier(forward, a, b, data, again):
    """The line from b (lambda 0) to a (lambda 1): scores at each lambda, the excess over the ends' line."""
    curve = []
    for k in range(POINTS):
        share = k / (POINTS - 1)
        p = mixture(a, b, share)
        if again and 0 < k < POINTS - 1:
            p = reset(forward, p, data["train.images"][:RESET_EXAMPLES], RESET_EXAMPLES)
        curve.append((share, score(forward, p, data["test.images"], data["test.labels"])))
    ends = curve[-1][1], curve[0][1]
    on_line = lambda share, what: share * ends[0][what] + (1 - share) * ends[1][what]
    excess = [s["loss"] - on_line(share, "loss") for share, s in curve]
    lack = [100 * (on_line(share, "accuracy") - s["accuracy"]) for share, s in curve]
    return {
        "loss": max(excess),
        "accuracy": max(lack),
        "midpointLoss": excess[POINTS // 2],
        "midpointAccuracy": lack[POINTS // 2],
        "losses": [s["loss"] for _, s in curve],
        "accuracies": [s["accuracy"] for _, s in curve],
    }


def taylor(forward, a, b, data):
    """1/4 d.(grad L(a) - grad L(b)) and 1/16 d.(H_a + H_b) d with d = b - a, over the test set."""
    names = list(learned(a))
    along = [b[name] - a[name] for name in names]
    slopes, curvatures = [], []
    for p in (a, b):
        point = [p[name].clone().requires_grad_() for name in names]
        loss = F.cross_entropy(forward({**p, **dict(zip(names, point))}, data["test.images"]), data["test.labels"])
        gradient = torch.autograd.grad(loss, point, create_graph=True)
        slope = sum((g * d).sum() for g, d in zip(gradient, along))
        product = torch.autograd.grad(slope, point)
        slopes.append(slope.item())
        curvatures.append(sum((h * d).sum() for h, d in zip(product, along)).item())
    first, second = (slopes[0] - slopes[1]) / 4, sum(curvatures) / 16
    return {"firstOrder": first, "secondOrder": second, "estimate": first + second}


def best_assignment(gain):
    """The columns with the greatest total, over all assignments, by dynamic programming over sets of columns."""
    n = len(gain)
    best = {0: (0.0, ())}
    for row in range(n):
        following = {}
        for taken, (total, columns) in best.items():
            for column in range(n):
                if taken >> column & 1:
                    continue
                key, value = taken | 1 << column, total + gain[row][column]
                if key not in following or value > following[key][0]:
                    following[key] = (value, columns + (column,))
        best = following
    return best[(1 << n) - 1]


def activation_matching(forward, groups, a, b, data, correlation):
    """Of each group: the matched units' covariances (or correlations) as they stand and at best, and the best match."""
    taps = {}, {}
    with torch.no_grad():
        for p, own in zip((a, b), taps):
            forward(p, data["train.images"], taps=own)
    result = {}
    for name, group in groups.items():
        sides = []
        for own in taps:
            # Units by rows; all images, all positions, and all places where the group is read.
            sides.append(torch.cat([own[tap].transpose(0, 1).flatten(1) for tap in group["taps"]], 1))
        centred = [x - x.mean(1, keepdim=True) for x in sides]
        matrix = centred[0] @ centred[1].T / centred[0].shape[1]
        if correlation:
            scale = torch.outer(*[(x**2).mean(1).sqrt() for x in centred])
            matrix = torch.where(scale > 0, matrix / scale, torch.zeros_like(scale))  # 0 where a unit does not vary
        value, columns = best_assignment(matrix.tolist())
        result[name] = {"before": matrix.trace().item(), "after": value, "units": list(columns)}
    return result


def permute(groups, found, p):
    """Unit i of the result is unit units[i] of the model, along every axis that carries the group."""
    result = dict(p)
    for name, group in groups.items():
        for parameter, dimension in group["axes"]:
            result[parameter] = result[parameter].index_select(dimension, torch.tensor(found[name]["units"]))
    return result


def compute(folder):
    data = read(folder / "data.safetensors")
    numbers = {}
    for network, forward in FORWARD.items():
        groups = GROUPS[network]
        a, b = (read(folder / f"{network}-{which}.safetensors") for which in "ab")
        matched = {
            kind: activation_matching(forward, groups, a, b, data, kind == "correlation")
            for kind in ("covariance", "correlation")
        }
        aligned = permute(groups, matched["covariance"], b)
        own = {"activationMatching": matched, "scores": [score(forward, p, data["test.images"], data["test.labels"]) for p in (a, b)]}
        for state, other in (("trained", b), ("aligned", aligned)):
            own[state] = {
                "l2": distance(a, other),
                "r": [{"gamma": gamma, **alignment(a, other, gamma)} for gamma in GAMMAS],
                "barrier": barrier(forward, a, other, data, again=False),
                "taylor": taylor(forward, a, other, data),
            }
            if any(is_statistic(name) for name in a):
                own[state]["resetBarrier"] = barrier(forward, a, other, data, again=True)
        if any(is_statistic(name) for name in a):
            middle = mixture(a, aligned, 0.5)
            images = data["train.images"][: SPLIT_RESET["examples"]]
            again = reset(forward, middle, images, SPLIT_RESET["batch"])
            own["resetStatistics"] = {name: again[name].tolist() for name in again if is_statistic(name)}
        numbers[network] = own
    return {"points": POINTS, "resetExamples": RESET_EXAMPLES, "splitReset": SPLIT_RESET, "networks": numbers}


# Making the files


def draw_data():
    """A pattern for each class, in noise; normalised channel by channel over the training images."""
    random = numpy.random.default_rng(20240204)
    patterns = random.normal(size=[CLASSES, *IMAGE])

    def split(count):
        labels = random.integers(0, CLASSES, count)
        strength = random.uniform(0.3, 1.0, [count, 1, 1, 1])
        return patterns[labels] * strength + random.normal(size=[count, *IMAGE]), labels

    (train, train_labels), (test, test_labels) = split(96), split(120)
    mean, deviation = train.mean((0, 2, 3), keepdims=True), train.std((0, 2, 3), keepdims=True)
    images = lambda x: torch.from_numpy((x - mean) / deviation)
    return {
        "train.images": images(train), "train.labels": torch.from_numpy(train_labels),
        "test.images": images(test), "test.labels": torch.from_numpy(test_labels),
    }


def architecture(network):
    layers = []
    relu = {"kind": "activation", "function": "Relu"}

    def add(name, layer, *inputs):
        layers.append({"name": name, "layer": layer, "inputs": list(inputs) or [layers[-1]["name"] if layers else "input"]})

    def convolve(name, channels, kernel, stride, *inputs):
        padding = kernel // 2
        fields = {"channels": channels, "kernel": kernel, "stride": stride, "padding": padding, "bias": False, "groups": 1}
        add(name, {"kind": "convolution", **fields}, *inputs)
        add(f"{name}.norm", {"kind": "batchNorm", "momentum": 0.1, "epsilon": 1e-5})

    dense = lambda units: {"kind": "dense", "units": units, "bias": True}
    if network == "mlp":
        add("flatten", {"kind": "flatten"})
        for k, units in ((1, 12), (2, 10)):
            add(f"fc{k}", dense(units))
            add(f"relu{k}", relu)
        add("fc3", dense(CLASSES))
    else:
        convolve("stem", 5, 3, 1)
        add("stem.relu", relu)
        for name, channels, stride, start in (("stage1.1", 5, 1, "stem.relu"), ("stage2.1", 8, 2, "stage1.1.relu")):
            convolve(f"{name}.conv1", channels, 3, stride, start)
            add(f"{name}.conv1.relu", relu)
            convolve(f"{name}.conv2", channels, 3, 1)
            if stride == 2:
                convolve(f"{name}.shortcut", channels, 1, 2, start)
            add(f"{name}.sum", {"kind": "sum"}, f"{name}.conv2.norm", f"{name}.shortcut.norm" if stride == 2 else start)
            add(f"{name}.relu", relu)
        add("pool", {"kind": "pooling", "function": "Average", "kernel": 0, "stride": 0})
        add("flatten", {"kind": "flatten"})
        add("fc", dense(CLASSES))
    return json.dumps({"name": f"golden {network}", "input": IMAGE, "nodes": layers}, separators=(",", ":"))


def start(network, random):
    """Weights uniform in 1/sqrt(fan in) either way, norms at 1 and 0."""

    def uniform(*shape, fan):
        return (torch.rand(shape, generator=random, dtype=torch.float64) * 2 - 1) / fan**0.5

    p = {}
    if network == "mlp":
        for k, (inputs, units) in enumerate(((72, 12), (12, 10), (10, CLASSES)), 1):
            p[f"fc{k}.weight"], p[f"fc{k}.bias"] = uniform(units, inputs, fan=inputs), uniform(units, fan=inputs)
        return p
    shapes = {
        "stem": (5, 2, 3), "stage1.1.conv1": (5, 5, 3), "stage1.1.conv2": (5, 5, 3),
        "stage2.1.conv1": (8, 5, 3), "stage2.1.conv2": (8, 8, 3), "stage2.1.shortcut": (8, 5, 1),
    }
    for name, (units, inputs, kernel) in shapes.items():
        p[f"{name}.weight"] = uniform(units, inputs, kernel, kernel, fan=inputs * kernel**2)
        for what, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            p[f"{name}.norm.{what}"] = torch.full([units], value, dtype=torch.float64)
    p["fc.weight"], p["fc.bias"] = uniform(CLASSES, 8, fan=8), uniform(CLASSES, fan=8)
    return p


def train(folder):
    data = draw_data()
    write(folder / "data.safetensors", data, {})
    # The two models of a pair are trained for different times: the ends of their line are not equally good.
    for network, forward in FORWARD.items():
        for which, seed, epochs in (("a", 1, 40), ("b", 2, 4 if network == "mlp" else 12)):
            random = torch.Generator().manual_seed(seed)
            p = start(network, random)
            leaves = [p[name].requires_grad_() for name in learned(p)]
            optimiser = torch.optim.Adam(leaves, 0.01)
            for _ in range(epochs):
                for chosen in torch.randperm(96, generator=random).split(24):
                    loss = F.cross_entropy(forward(p, data["train.images"][chosen], training=True), data["train.labels"][chosen])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
            p = {name: tensor.detach() for name, tensor in p.items()}
            p = reset(forward, p, data["train.images"], 24)
            write(folder / f"{network}-{which}.safetensors", p, {"architecture": architecture(network)})
    (folder / "golden.json").write_text(json.dumps(compute(folder), indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) != 3 or sys.argv[1] not in ("compute", "train"):
        sys.exit(__doc__)
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]))
    else:
        print(json.dumps(compute(Path(sys.argv[2])), indent=1))
