"""Writes what training scripts save by torch.save, each beside what should be read of it.

    pytorch_files.py FOLDER

FOLDER/read/NAME.pt is read as it is: its tensors are those of NAME.safetensors, in this order.
FOLDER/fits/NAME.pt holds the model of fits.safetensors once a network says what to look for.
FOLDER/refused/NAME.pt is refused; cases.json says by which words.
"""
import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import os
import pathlib
import pickle
import random
import re
import struct
import sys
import tarfile

import numpy as np
import torch
from torch import nn

TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


def write_safetensors(path, tensors):
    header, body = {}, b""
    for name, tensor in tensors.items():
        numbers = tensor.detach().contiguous()
        raw = numbers.view(torch.int16).numpy().tobytes() if numbers.dtype == torch.bfloat16 else numbers.numpy().tobytes()
        header[name] = {"dtype": TYPES[numbers.dtype], "shape": list(numbers.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


class Net(nn.Module):
    """A module of a class that nothing else knows, with buffers that are kept and one that is not."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU())
        self.scale = nn.Parameter(torch.randn(5))
        self.register_buffer("kept", torch.arange(4))
        self.register_buffer("passing", torch.arange(3), persistent=False)
        self.register_buffer("none", None)
        self.head = nn.ModuleDict({"a": nn.Linear(5, 3), "b": nn.Linear(5, 2, bias=False)})
        self.loss = nn.CrossEntropyLoss(weight=torch.rand(3))
        self.note = {"args": argparse.Namespace(lr=0.1), "where": pathlib.Path("x/y")}


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Config:
    width: int = 4
    path: pathlib.Path = pathlib.Path("/tmp")


class Evil:
    """Would make a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


class EvilState(dict):
    def __reduce__(self):
        return eval, ("open('pwned', 'w')",)


def harmless():
    """Objects that scripts keep beside tensors."""
    counted = collections.defaultdict(list)
    counted["a"].append(1)
    return {
        "set": {1, "a", (2, 3)}, "frozenset": frozenset([1, 2]), "size": torch.Size([2, 3]), "device": torch.device("cuda:1"),
        "dtype": torch.float16, "np.float64": np.float64(0.5), "np.float32": np.float32(0.25), "np.int64": np.int64(3),
        "np.bool": np.bool_(True), "array": np.arange(6).reshape(2, 3), "strings": np.array(["a", "b"]), "path": pathlib.Path("a/b"),
        "windows": pathlib.PureWindowsPath("c:/a"), "namespace": argparse.Namespace(lr=0.1, layers=[1, 2]), "ordered": collections.OrderedDict(a=1),
        "default": counted, "counter": collections.Counter("abca"), "deque": collections.deque([1, 2], maxlen=3), "point": Point(1, 2),
        "dataclass": Config(), "enum": Colour.RED, "loss": nn.MSELoss(), "none": None, "bytes": b"abc", "bytearray": bytearray(b"abc"),
        "complex": 1 + 2j, "decimal": decimal.Decimal("0.1"), "fraction": fractions.Fraction(1, 3), "date": datetime.datetime(2020, 1, 1),
        "range": range(3), "slice": slice(1, 2), "partial": functools.partial(print, "x"), "regex": re.compile("a+"), "big": 10 ** 400,
        "negative": -(2 ** 63), "infinite": float("inf"), "nested": {"deeper": {"still": [{"x": (1, [2, {"y": {3}}])}]}}, "function": os.path.join,
        "class": nn.Linear, "ellipsis": ..., "not implemented": NotImplemented, "unicode": "ünï\u2028", "empty": ((), [], {}, set()),
    }


def numbers():
    """Tensors of every type and layout."""
    large = torch.randn(40)
    tagged = torch.randn(3)
    tagged.tag = "kept"
    return {
        "f64": torch.randn(3, 2, dtype=torch.float64), "f16": torch.randn(4).half(), "bf16": torch.randn(4).bfloat16(),
        "i64": torch.tensor([2 ** 62 + 1, -5]), "i32": torch.tensor([7], dtype=torch.int32), "i16": torch.tensor([-7], dtype=torch.int16),
        "i8": torch.tensor([[-7]], dtype=torch.int8), "u8": torch.tensor([200], dtype=torch.uint8), "bool": torch.tensor([True, False]),
        "transposed": torch.randn(3, 4).t(), "part": large[5:9], "every third": large[1::3], "square": large.view(5, 8)[1:3, 2:6],
        "scalar": torch.tensor(3.5), "empty": torch.empty(0, 3), "same a": large, "same b": large, "parameter": nn.Parameter(torch.randn(2)),
        "frozen": nn.Parameter(torch.randn(2), requires_grad=False), "channels last": torch.randn(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "tagged": tagged,
    }


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def main(folder):
    torch.manual_seed(3)
    folder = pathlib.Path(folder).resolve()
    read, fits, refused = (folder / name for name in ("read", "fits", "refused"))
    for path in (read, fits, refused):
        path.mkdir(parents=True)
    os.chdir(folder)

    def case(name, content, tensors, **options):
        torch.save(content, read / f"{name}.pt", **options)
        write_safetensors(read / f"{name}.safetensors", tensors)

    net = Net()
    state = net.state_dict()
    case("state dict", state, state)
    for protocol in (1, 2, 3, 4, 5):
        case(f"protocol {protocol}", {"model": state, **harmless()}, state, pickle_protocol=protocol)
        case(f"module, protocol {protocol}", net, state, pickle_protocol=protocol)
    case("module in a dict", {"model": net, "ema": None, "epoch": 3}, state)
    case("parallel module", nn.DataParallel(net), {f"module.{k}": v for k, v in state.items()})
    case("list of parameters", dict(net.named_parameters()), dict(net.named_parameters()))
    kinds = numbers()
    case("every type and layout", kinds, kinds)
    case("objects beside", {**state, **harmless()}, state)
    case("evil beside", {"model": state, "evil": Evil(), "worse": EvilState(), **{f"more {k}": Evil() for k in range(3)}}, state)
    for key in ("net", "model_state", "network", "params", "weights", "module", "ema", "state_dict", "model_state_dict", "state_dict_ema", "anything"):
        case(f"under {key}", {key: state, "epoch": 1, "args": argparse.Namespace(lr=0.1)}, state)
        case(f"two levels under {key}", {"checkpoint": {key: state, "best": 0.5}, "step": np.int64(4)}, state)
    case("tuple", (state, 0.3), state)
    case("attribute", argparse.Namespace(model=state, epoch=1), state)
    trained = mlp()
    adam = torch.optim.Adam(trained.parameters())
    trained(torch.randn(7, 6)).sum().backward()
    adam.step()
    case(
        "everything beside",
        {
            "net": trained.state_dict(), "optimizer": adam.state_dict(), "optimizer object": adam, "class_weights": torch.rand(3),
            "rng": torch.get_rng_state(), "cuda": [torch.get_rng_state()], "numpy": np.random.get_state(), "python": random.getstate(),
            "scheduler": torch.optim.lr_scheduler.StepLR(adam, 1).state_dict(), "best": np.float32(0.5), **harmless(),
        },
        trained.state_dict(),
    )

    # Models of one network: 1 x 2 x 3 inputs, hidden layers of 5 and 4, 3 classes.
    plain = trained.state_dict()
    write_safetensors(folder / "fits.safetensors", plain)
    other = mlp().state_dict()

    def fit(name, content, **options):
        torch.save(content, fits / f"{name}.pt", **options)

    def under(prefix, more={}):
        return {**{prefix + k: v for k, v in plain.items()}, **more}

    for prefix in (
        "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module.", "model.", "net.", "ema_model.", "model.model.",
        "model._orig_mod.net.", "module.encoder.mlp.", "_fsdp_wrapped_module._orig_mod.", "model.module.", "layers.0.", "Backbone2.",
    ):
        fit(f"prefix {prefix}", under(prefix))
        fit(f"prefix {prefix} in Lightning's", {"state_dict": under(prefix), "hyper_parameters": argparse.Namespace(a=1), "pytorch-lightning_version": "2"})
    fit("a loss beside", {"state_dict": under("model.", {"criterion.weight": torch.rand(3), "metric.total": torch.tensor(4)})})
    fit("averaged", torch.optim.swa_utils.AveragedModel(trained).state_dict())
    fit("smaller model beside", {"student": plain, "teacher": nn.Linear(6, 3).state_dict()})
    fit("other network beside", {"generator": Net().state_dict(), "discriminator": plain})
    fit("whole", trained)
    fit("whole in parallel", nn.DataParallel(nn.DataParallel(trained)))
    dropped = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 3))
    dropped.load_state_dict({k.replace("3.", "4.").replace("5.", "7."): v for k, v in plain.items()})
    fit("dropout between", dropped.state_dict())
    fit("dropout between, whole", {"epoch": 1, "model": dropped})
    fit("hidden stack", under("linear_relu_stack."))

    cases = {}

    def refuse(name, content, *words, **options):
        torch.save(content, refused / f"{name}.pt", **options)
        cases[f"{name}.pt"] = words

    refuse("legacy", plain, "PyTorch before 1.6", "torch.save", _use_new_zipfile_serialization=False)
    refuse("legacy whole", trained, "PyTorch before 1.6", _use_new_zipfile_serialization=False)
    refuse("nothing", {"epoch": 3, "args": argparse.Namespace(lr=1)}, "expected a state dict", "epoch", "argparse.Namespace")
    refuse("one tensor", torch.rand(3), "expected a state dict", "found a tensor")
    refuse("a list", [torch.rand(3)], "expected a state dict", "list of 1")
    refuse("evil", Evil(), "system", "refused", "nothing of a file is run")
    refuse("an array", {"0.weight": np.zeros((5, 6))}, "expected a state dict", "numpy")
    refuse("expanded", {"w": torch.zeros(1).expand(1000, 1000)}, "'w'", "at most the 1 numbers", "contiguous")
    refuse("two alike", {"model": plain, "ema": other}, "model (6 tensors)", "ema (6 tensors)", "--key")
    refuse("two prefixes", {**under("student."), **{f"teacher.{k}": v for k, v in other.items()}}, "student (6 tensors)", "teacher (6 tensors)")
    refuse("with and without", {**plain, **{f"ema.{k}": v for k, v in other.items()}}, ". (6 tensors)", "ema (6 tensors)")
    refuse("another network beside a random state", {"rng": torch.get_rng_state(), "net": Net().state_dict()}, "under 'net'", "missing: fc2.weight")
    refuse("sparse", {"w": torch.eye(3).to_sparse()}, "expected a state dict", "_rebuild_sparse_tensor")
    refuse("complex", {"w": torch.zeros(2, dtype=torch.complex128)}, "'w'", "ComplexDoubleStorage")
    torch.jit.save(torch.jit.script(trained), refused / "script.pt")
    cases["script.pt"] = ["TorchScript", "torch.jit.load"]
    with open(refused / "pickle.pt", "wb") as file:
        pickle.dump({"w": np.zeros(3)}, file)
    cases["pickle.pt"] = ["a pickle that torch.save did not write"]
    np.savez(refused / "arrays.npz", a=np.zeros(3))
    cases["arrays.npz"] = ["NumPy archive"]
    np.save(refused / "array.npy", np.zeros(3))
    cases["array.npy"] = ["NumPy array"]
    with tarfile.open(refused / "model.tar", "w") as tar:
        tar.add(fits / "whole.pt", "whole.pt")
    cases["model.tar"] = ["tar archive"]
    (folder / "cases.json").write_text(json.dumps(cases))
    torch.save({"model": plain, "ema": other, "nested": {"teacher": under("net.")}}, folder / "choices.pt")
    write_safetensors(folder / "ema.safetensors", other)

    # A large model's folder, as Hugging Face writes it from PyTorch.
    sharded = folder / "sharded"
    sharded.mkdir()
    names = list(plain)
    places = {name: f"pytorch_model-0000{1 + names.index(name) // 3}-of-00002.bin" for name in names}
    for file in set(places.values()):
        torch.save({name: plain[name] for name in names if places[name] == file}, sharded / file)
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    (sharded / "config.json").write_text("{}")


if __name__ == "__main__":
    main(sys.argv[1])
