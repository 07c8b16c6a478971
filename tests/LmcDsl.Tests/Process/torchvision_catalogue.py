"""Writes models of torchvision, and of the usual CIFAR code written anew, each with an input and what it gives.

    torchvision_catalogue.py FOLDER     NAME.pt: a state dict; NAME.io.pt: {"input", "output"}
"""
import sys

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import vgg

torch.set_num_threads(2)
WIDTH = 0.125  # of VGG for ImageNet, whose classifier is 500 MB at full width


class Block(nn.Module):
    """A basic block for CIFAR; where it reshapes, with a shortcut of option A, B or of 3x3."""

    def __init__(self, inputs, channels, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        self.pad = 0
        if stride != 1 or inputs != channels:
            if option == "a":
                self.pad = channels // 4
            else:
                kernel = 3 if option == "3x3" else 1
                conv = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        beside = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad)) if self.pad else self.shortcut(x)
        return F.relu(y + beside)


class CifarResNet(nn.Module):
    def __init__(self, depth, option):
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[Block(16, 16, 1, option) for _ in range(n)])
        self.layer2 = nn.Sequential(Block(16, 32, 2, option), *[Block(32, 32, 1, option) for _ in range(n - 1)])
        self.layer3 = nn.Sequential(Block(32, 64, 2, option), *[Block(64, 64, 1, option) for _ in range(n - 1)])
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.size(3)).flatten(1))


class CifarVgg(nn.Module):
    def __init__(self, plan, norm, bias):
        super().__init__()
        layers, inputs = [], 3
        for v in plan:
            if v == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers.append(nn.Conv2d(inputs, v, 3, padding=1, bias=bias))
                layers += [nn.BatchNorm2d(v)] if norm else []
                layers.append(nn.ReLU())
                inputs = v
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(512, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def narrow_vgg(letter, norm):
    """torchvision's own VGG with fewer channels and units."""
    plan = [v if v == "M" else int(v * WIDTH) for v in vgg.cfgs[letter]]
    units = int(4096 * WIDTH)
    model = vgg.VGG(vgg.make_layers(plan, batch_norm=norm), num_classes=10, init_weights=False)
    head = list(model.classifier)
    head[0], head[3], head[6] = nn.Linear(int(512 * WIDTH) * 49, units), nn.Linear(units, units), nn.Linear(units, 10)
    model.classifier = nn.Sequential(*head)
    return model


def seeded(make):
    """A model that neither vanishes nor grows with depth, with nothing left as it is initialised."""
    torch.manual_seed(1)
    model = make().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.4, 0.8)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.8, 1.2)
    return model


def entries():
    for depth in (18, 34, 50):
        yield f"resnet{depth}", lambda: getattr(models, f"resnet{depth}")(num_classes=10), 64
    for depth in (20, 32, 56):
        for option in ("", "-a", "-3x3"):
            yield f"resnet{depth}{option}", lambda: CifarResNet(depth, option[1:]), 32
    for depth, letter in ((11, "A"), (13, "B"), (16, "D"), (19, "E")):
        yield f"vgg{depth}-imagenet", lambda: narrow_vgg(letter, True), 64
        yield f"vgg{depth}-imagenet.plain", lambda: narrow_vgg(letter, False), 64
        yield f"vgg{depth}", lambda: CifarVgg(vgg.cfgs[letter], True, False), 32
        yield f"vgg{depth}.plain", lambda: CifarVgg(vgg.cfgs[letter], False, True), 32
        yield f"vgg{depth}-bias", lambda: CifarVgg(vgg.cfgs[letter], True, True), 32


if __name__ == "__main__":
    for name, make, side in entries():
        model = seeded(make)
        inputs = torch.randn(2, 3, side, side)
        with torch.no_grad():
            outputs = model(inputs)
        torch.save(model.state_dict(), f"{sys.argv[1]}/{name}.pt")
        torch.save({"input": inputs, "output": outputs}, f"{sys.argv[1]}/{name}.io.pt")
        print(name)
