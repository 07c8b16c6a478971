"""Trains two MLPs 784-32-10 in PyTorch on MNIST with inputs from 0 to 1, and prints what PyTorch says of them.

    pytorch_unit_inputs.py MNIST-FOLDER OUT-FOLDER

Writes a.pt and b.pt; prints as JSON the accuracy and loss of each, and those of their mean, on the first 2,000 test images.
"""

import gzip
import json
import sys

import torch

mnist, out = sys.argv[1:]


def read(name, header):
    with gzip.open(f"{mnist}/{name}.gz") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)[header:]


def split(prefix, count):
    images = read(f"{prefix}-images-idx3-ubyte", 16).view(-1, 784)[:count].float() / 255
    return images, read(f"{prefix}-labels-idx1-ubyte", 8)[:count].long()


def network():
    return torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def score(model):
    with torch.no_grad():
        logits = model(test[0])
    loss = torch.nn.functional.cross_entropy(logits.double(), test[1]).item()
    return {"accuracy": (logits.argmax(1) == test[1]).double().mean().item(), "loss": loss}


train, test = split("train", 6000), split("t10k", 2000)
states, scores = [], {}
for name, seed in [("a", 1), ("b", 2)]:
    torch.manual_seed(seed)
    model = network()
    adam = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(3):
        for batch in torch.randperm(len(train[0])).split(100):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(model(train[0][batch]), train[1][batch]).backward()
            adam.step()
    torch.save(model.state_dict(), f"{out}/{name}.pt")
    states.append(model.state_dict())
    scores[name] = score(model)
mean = network()
mean.load_state_dict({key: (states[0][key] + states[1][key]) / 2 for key in states[0]})
scores["mean"] = score(mean)
print(json.dumps(scores))
