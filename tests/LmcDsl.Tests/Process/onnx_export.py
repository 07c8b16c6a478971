"""Exports networks to ONNX as a user does who wants names kept, each with its state dict, an input and what it gives.

    onnx_export.py FOLDER     NAME.onnx, NAME.pt, NAME.io.pt
    onnx_export.py FOLDER NAME...   these only; NAME.default: as a user does who asks for nothing
The variable SEED says from which seed their numbers are drawn.
"""
import math
import os
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

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


class GroupNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, (1, 3), padding=(0, 1)), nn.InstanceNorm2d(16, affine=True)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        y = F.leaky_relu(self.norm1(self.conv1(x)), 0.1)
        return self.head(F.elu(self.up(self.norm2(self.conv2(y)))).mean(dim=(2, 3)))


class Conv1D(nn.Module):
    """GPT-2's dense layer: its weight lies the other way round."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs)), nn.Parameter(torch.randn(outputs) / 10)

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(x.size()[:-1] + (self.bias.shape[0],))


class GptBlock(nn.Module):
    def __init__(self, width, heads, positions):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"c_attn": Conv1D(width, 3 * width), "c_proj": Conv1D(width, width)})
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(width, 4 * width), "c_proj": Conv1D(4 * width, width)})
        self.register_buffer("mask", torch.tril(torch.ones(positions, positions, dtype=torch.bool)).view(1, 1, positions, positions), persistent=False)

    def forward(self, x):
        q, k, v = self.attn["c_attn"](self.ln_1(x)).split(x.size(-1), dim=2)
        q, k, v = (t.view(t.size(0), t.size(1), self.heads, -1).permute(0, 2, 1, 3) for t in (q, k, v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.size(-1))
        n = q.size(-2)
        scores = torch.where(self.mask[:, :, :n, :n], scores, torch.tensor(-1e9))
        y = torch.matmul(F.softmax(scores, dim=-1), v).permute(0, 2, 1, 3).contiguous()
        x = x + self.attn["c_proj"](y.view(y.size(0), y.size(1), -1))
        y = self.mlp["c_fc"](self.ln_2(x))
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * torch.pow(y, 3))))
        return x + self.mlp["c_proj"](y)


class Gpt(nn.Module):
    """Two blocks of GPT-2, its head tied to its embedding, on the last token."""

    def __init__(self, vocabulary=23, width=24, heads=3, positions=7):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList([GptBlock(width, heads, positions) for _ in range(2)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, x):
        y = self.wte(x) + self.wpe(torch.arange(x.size(1)).unsqueeze(0))
        for block in self.h:
            y = block(y)
        return torch.matmul(self.ln_f(y)[:, -1], self.wte.weight.t())


class BertLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        part = lambda t: t.view(t.size(0), t.size(1), self.heads, t.size(2) // self.heads).permute(0, 2, 1, 3)
        q, k, v = part(self.query(x)), part(self.key(x)), part(self.value(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.size(-1)) + mask
        y = torch.matmul(F.softmax(scores, dim=-1), v).permute(0, 2, 1, 3).contiguous()
        x = self.norm1(x + self.output(y.view(y.size(0), y.size(1), -1)))
        return self.norm2(x + self.outer(F.gelu(self.inner(x))))


class Bert(nn.Module):
    """Two layers of BERT on tokens and the mask of those that count, and a pooler."""

    def __init__(self, vocabulary=31, width=24, heads=3, positions=6):
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(vocabulary, width), nn.Embedding(positions, width), nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([BertLayer(width, heads) for _ in range(2)])
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 5)

    def forward(self, tokens, mask):
        place = torch.arange(tokens.size(1)).unsqueeze(0)
        x = self.norm(self.words(tokens) + self.places(place) + self.kinds(torch.zeros_like(tokens)))
        bias = (1.0 - mask.to(x.dtype)[:, None, None, :]) * -10000.0
        for layer in self.layers:
            x = layer(x, bias)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, pairs, inner):
        super().__init__()
        self.heads, self.pairs, size = heads, pairs, width // heads
        self.q_proj, self.o_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k_proj, self.v_proj = nn.Linear(width, pairs * size, bias=False), nn.Linear(width, pairs * size, bias=False)
        self.gate_proj, self.up_proj, self.down_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.register_buffer("inv_freq", 1.0 / (10000 ** (torch.arange(0, size, 2).float() / size)), persistent=False)

    @staticmethod
    def rotated(x):
        return torch.cat((-x[..., x.shape[-1] // 2:], x[..., : x.shape[-1] // 2]), dim=-1)

    def repeat(self, x):
        b, pairs, n, d = x.shape
        times = self.heads // self.pairs
        return x[:, :, None, :, :].expand(b, pairs, times, n, d).reshape(b, pairs * times, n, d)

    def forward(self, x):
        b, n, width = x.shape
        y = self.norm1(x)
        q = self.q_proj(y).view(b, n, self.heads, -1).transpose(1, 2)
        k = self.k_proj(y).view(b, n, self.pairs, -1).transpose(1, 2)
        v = self.v_proj(y).view(b, n, self.pairs, -1).transpose(1, 2)
        angles = torch.einsum("i,j->ij", torch.arange(n, dtype=torch.float32), self.inv_freq)
        angles = torch.cat((angles, angles), dim=-1)[None, None]
        q, k = (t * angles.cos() + self.rotated(t) * angles.sin() for t in (q, k))
        k, v = self.repeat(k), self.repeat(v)
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(q.size(-1))
        scores = scores + torch.triu(torch.full((n, n), -1e9), diagonal=1)
        y = torch.matmul(F.softmax(scores, dim=-1), v).transpose(1, 2).reshape(b, n, width)
        x = x + self.o_proj(y)
        y = self.norm2(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Llama(nn.Module):
    """Two blocks with rotary positions, queries that share keys, and a gated inner layer, on the last token."""

    def __init__(self, vocabulary=29, width=32, heads=4, pairs=2, inner=40):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList([LlamaBlock(width, heads, pairs, inner) for _ in range(2)])
        self.norm, self.lm_head = RmsNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, x):
        y = self.embed_tokens(x)
        for layer in self.layers:
            y = layer(y)
        return self.lm_head(self.norm(y)[:, -1])


class TimmBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        x = x + self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(b, n, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class TimmVit(nn.Module):
    """A vision transformer of one block as timm writes it: queries, keys and values in one weight, taken apart by unbind."""

    def __init__(self, width=24, heads=3):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 4, 4)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 5, width))
        self.block, self.norm, self.head = TimmBlock(width, heads), nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        return self.head(self.norm(self.block(x))[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(6, 8, num_layers=2, batch_first=True, **options)
        self.inner, self.head = nn.Linear(8 * (2 if options.get("bidirectional") else 1), 12), nn.Linear(12, 5)

    def forward(self, x):
        return self.head(F.relu(self.inner(self.rnn(x)[0][:, -1])))


def narrow_vgg():
    """VGG16 with norms as torchvision builds it, an eighth as wide, for images of 64 x 64 that its adaptive pool leaves as they are."""
    widths = [width if width == "M" else width // 8 for width in models.vgg.cfgs["D"]]
    model = models.VGG(models.vgg.make_layers(widths, batch_norm=True), num_classes=10, init_weights=False)
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier[0], model.classifier[3], model.classifier[6] = nn.Linear(64, 96), nn.Linear(96, 80), nn.Linear(80, 10)
    return model


class BasicBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet20(nn.Module):
    """The usual one for CIFAR."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        stage = lambda inputs, channels, stride: nn.Sequential(*(BasicBlock(inputs if k == 0 else channels, channels, stride if k == 0 else 1) for k in range(3)))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        y = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.adaptive_avg_pool2d(y, 1).flatten(1))


def seeded(make):
    torch.manual_seed(int(os.environ.get("SEED", "1")))
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
            if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)):
                module.weight.uniform_(0.4, 0.8)
                module.bias.normal_(0, 0.1)
        for name, value in model.named_parameters():
            if name.endswith(("layer_scale", "relative_position_bias_table", "class_token", "in_proj_bias")):
                value.normal_(0, 0.5)
    return model


def torchvision(name, **options):
    return lambda: getattr(models, name)(num_classes=10, **options)


def image(*shape):
    return lambda: torch.randn(1, *shape)


def tokens(vocabulary, length):
    return lambda: torch.randint(0, vocabulary, (1, length))


ENTRIES = {
    "resnet18": (torchvision("resnet18"), image(3, 64, 64)),
    "mobilenet_v2": (torchvision("mobilenet_v2"), image(3, 64, 64)),
    "mobilenet_v3_small": (torchvision("mobilenet_v3_small"), image(3, 64, 64)),
    "efficientnet_b0": (torchvision("efficientnet_b0"), image(3, 64, 64)),
    "densenet121": (torchvision("densenet121"), image(3, 64, 64)),
    "squeezenet1_1": (torchvision("squeezenet1_1"), image(3, 64, 64)),
    "googlenet": (torchvision("googlenet", init_weights=False, aux_logits=False), image(3, 64, 64)),
    "resnext50_32x4d": (torchvision("resnext50_32x4d"), image(3, 64, 64)),
    "regnet_y_400mf": (torchvision("regnet_y_400mf"), image(3, 64, 64)),
    "shufflenet_v2_x0_5": (torchvision("shufflenet_v2_x0_5"), image(3, 64, 64)),
    "convnext_tiny": (torchvision("convnext_tiny"), image(3, 64, 64)),
    # As deep as torchvision's, with as many heads and windows, and narrow.
    "vgg16_bn_narrow": (narrow_vgg, image(3, 64, 64)),
    "vit_b_32_narrow": (lambda: VisionTransformer(64, 32, 12, 12, 96, 384, num_classes=10), image(3, 64, 64)),
    "swin_t_narrow": (lambda: SwinTransformer([4, 4], 24, [2, 2, 6, 2], [3, 6, 12, 24], [7, 7], num_classes=10), image(3, 64, 64)),
    "unet": (UNet, image(3, 16, 16)),
    "sequence": (Sequence, image(4, 10)),
    "groupnorm": (GroupNet, image(3, 8, 8)),
    "vit": (lambda: VisionTransformer(32, 8, 2, 3, 24, 48, num_classes=10), image(3, 32, 32)),
    "swin": (lambda: SwinTransformer([4, 4], 24, [2, 2], [3, 6], [4, 4], num_classes=10), image(3, 32, 32)),
    "convnext": (lambda: ConvNeXt([CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 2)], num_classes=10), image(3, 32, 32)),
    "timm_vit": (TimmVit, image(3, 8, 8)),
    "gpt2": (Gpt, tokens(23, 7)),
    "bert": (Bert, lambda: (torch.randint(0, 31, (1, 6)), torch.tensor([[1, 1, 1, 1, 1, 0]]))),
    "llama": (Llama, tokens(29, 6)),
    "lstm": (lambda: Recurrent(nn.LSTM), image(7, 6)),
    "bilstm": (lambda: Recurrent(nn.LSTM, bidirectional=True), image(7, 6)),
    "gru": (lambda: Recurrent(nn.GRU), image(7, 6)),
}

# Asked for by name: too large for every run, or used elsewhere.
LARGE = {
    "resnet20": (ResNet20, image(3, 32, 32)),
    "vgg16_bn": (torchvision("vgg16_bn"), image(3, 224, 224)),
    "vit_b_32": (torchvision("vit_b_32", image_size=64), image(3, 64, 64)),
    "swin_t": (torchvision("swin_t"), image(3, 64, 64)),
}


def export(folder, name, make, draw, **options):
    model = seeded(make)
    inputs = draw()
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.no_grad():
        outputs = model(*several)
    torch.onnx.export(model, inputs, f"{folder}/{name}.onnx", **options)
    torch.save(model.state_dict(), f"{folder}/{name}.pt")
    # As the network reads them: several inputs one after the other, flattened.
    flat = several[0] if len(several) == 1 else torch.cat([value.flatten(1).float() for value in several], 1)
    torch.save({"input": flat.float(), "output": outputs}, f"{folder}/{name}.io.pt")
    print(name, flush=True)


if __name__ == "__main__":
    kept = dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    for name in sys.argv[2:] or ENTRIES:
        make, draw = {**ENTRIES, **LARGE}[name.removesuffix(".default")]
        export(sys.argv[1], name, make, draw, opset_version=16, **({} if name.endswith(".default") else kept))
    if not sys.argv[2:]:
        # As a user does who asks for nothing: folded, norms fused, names lost; and for any number of examples.
        for name in ("resnet18", "timm_vit"):
            make, draw = ENTRIES[name]
            export(sys.argv[1], f"{name}.default", make, draw, opset_version=13)
            export(sys.argv[1], f"{name}.dynamic", make, draw, opset_version=13, input_names=["x"], dynamic_axes={"x": {0: "batch"}}, **kept)
        # For sequences of any length and images of any size; and as old tools wrote it.
        ids, mask = {0: "batch", 1: "length"}, {0: "batch", 1: "length"}
        export(sys.argv[1], "bert.open", lambda: Bert(positions=40), ENTRIES["bert"][1], opset_version=13, input_names=["ids", "mask"], dynamic_axes={"ids": ids, "mask": mask}, **kept)
        export(sys.argv[1], "unet.open", UNet, image(3, 16, 16), opset_version=13, input_names=["x"], dynamic_axes={"x": {0: "batch", 2: "height", 3: "width"}}, **kept)
        export(sys.argv[1], "unet.old", UNet, image(3, 16, 16), opset_version=7, **kept)
        # For a batch of three.
        export(sys.argv[1], "timm_vit.three", TimmVit, lambda: torch.randn(3, 3, 8, 8), opset_version=13, **kept)
