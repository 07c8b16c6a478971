"""Exports networks to ONNX as a user does who wants names kept, each with its state dict, an input and what it gives.

    onnx_export.py FOLDER     NAME.onnx, NAME.pt, NAME.io.pt
"""
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

torch.set_num_threads(2)
warnings.filterwarnings("ignore")


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = self.block(3, 8), self.block(8, 16)
        self.middle = self.block(16, 32)
        self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.left2, self.left1 = self.block(32, 16), self.block(16, 8)
        self.head = nn.Linear(8, 10)

    @staticmethod
    def block(inputs, channels):
        return nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        d = self.left2(torch.cat([self.up2(c), b], 1))
        e = self.left1(torch.cat([self.up1(d), a], 1))
        return self.head(e.mean(dim=(2, 3)))


class Sequence(nn.Module):
    """1-d convolutions, a split, SiLU, and a dense layer written as a product and a sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 12, 3, padding=1), nn.Conv1d(6, 6, 3, padding=2, dilation=2, groups=2)
        self.weight, self.bias = nn.Parameter(torch.randn(120, 5) / 10), nn.Parameter(torch.randn(5))

    def forward(self, x):
        left, right = F.silu(self.first(x)).split(6, dim=1)
        return torch.matmul(torch.cat([F.relu6(self.second(left)), right], 1).flatten(1), self.weight) + self.bias


def seeded(make):
    torch.manual_seed(1)
    model = make().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.4, 0.8)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.8, 1.2)
    return model


def torchvision(name, **options):
    return lambda: getattr(models, name)(num_classes=10, **options)


ENTRIES = {
    "resnet18": (torchvision("resnet18"), (3, 64, 64)),
    "mobilenet_v2": (torchvision("mobilenet_v2"), (3, 64, 64)),
    "mobilenet_v3_small": (torchvision("mobilenet_v3_small"), (3, 64, 64)),
    "efficientnet_b0": (torchvision("efficientnet_b0"), (3, 64, 64)),
    "densenet121": (torchvision("densenet121"), (3, 64, 64)),
    "squeezenet1_1": (torchvision("squeezenet1_1"), (3, 64, 64)),
    "googlenet": (torchvision("googlenet", init_weights=False, aux_logits=False), (3, 64, 64)),
    "resnext50_32x4d": (torchvision("resnext50_32x4d"), (3, 64, 64)),
    "regnet_y_400mf": (torchvision("regnet_y_400mf"), (3, 64, 64)),
    "unet": (UNet, (3, 16, 16)),
    "sequence": (Sequence, (4, 10)),
}

if __name__ == "__main__":
    for name, (make, shape) in ENTRIES.items():
        model = seeded(make)
        inputs = torch.randn(2, *shape)
        with torch.no_grad():
            outputs = model(inputs)
        torch.onnx.export(
            model, inputs, f"{sys.argv[1]}/{name}.onnx", opset_version=13, training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False)
        torch.save(model.state_dict(), f"{sys.argv[1]}/{name}.pt")
        torch.save({"input": inputs, "output": outputs}, f"{sys.argv[1]}/{name}.io.pt")
        print(name)
