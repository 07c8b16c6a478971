"""Writes folders as Hugging Face's libraries do, of small models that are written down anew here under those libraries' names of tensors.

    hf_folders.py FOLDER [NAME...]

FOLDER/NAME/ is the folder, FOLDER/NAME.onnx the export of the same model where one output says all, FOLDER/NAME.io.pt an input and what
the model gives. The variable SEED says from which seed the numbers are drawn.
"""
import json
import math
import os
import struct
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(2)
warnings.filterwarnings("ignore")

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.uint8: "U8", torch.bool: "BOOL"}
ACT = {
    "gelu": F.gelu, "relu": F.relu, "silu": F.silu, "tanh": torch.tanh,
    "gelu_new": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


def write_safetensors(path, tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        numbers = tensor.detach().contiguous()
        raw = numbers.view(torch.int16).numpy().tobytes() if numbers.dtype == torch.bfloat16 else numbers.numpy().tobytes()
        header[name] = {"dtype": TYPES[numbers.dtype], "shape": list(numbers.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


class Box(nn.Module):
    """Modules by their names, as a part of a model."""

    def __init__(box, **parts):  # a part may be called self
        super(Box, box).__init__()
        for name, part in parts.items():
            setattr(box, name, part)


class Conv1D(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs)), nn.Parameter(torch.randn(outputs) / 10)

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(x.size()[:-1] + (self.bias.shape[0],))


def attend(q, k, v, heads, pairs, causal, rotate=None):
    b, n = q.shape[0], q.shape[1]
    q, k, v = q.view(b, n, heads, -1).transpose(1, 2), k.view(b, n, pairs, -1).transpose(1, 2), v.view(b, n, pairs, -1).transpose(1, 2)
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    if pairs < heads:
        k, v = (t[:, :, None].expand(b, pairs, heads // pairs, n, t.shape[-1]).reshape(b, heads, n, t.shape[-1]) for t in (k, v))
    scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.size(-1))
    if causal:
        scores = scores + torch.triu(torch.full((n, n), -1e9), diagonal=1)
    return torch.matmul(F.softmax(scores, dim=-1), v).transpose(1, 2).reshape(b, n, -1)


class Gpt2(nn.Module):
    def __init__(self, c, head="lm", tied=True):
        super().__init__()
        e, self.head, self.c = c["n_embd"], head, c
        inner = c.get("n_inner") or 4 * e
        block = lambda: Box(
            ln_1=nn.LayerNorm(e), attn=Box(c_attn=Conv1D(e, 3 * e), c_proj=Conv1D(e, e)), ln_2=nn.LayerNorm(e), mlp=Box(c_fc=Conv1D(e, inner), c_proj=Conv1D(inner, e)))
        self.transformer = Box(
            wte=nn.Embedding(c["vocab_size"], e), wpe=nn.Embedding(c["n_positions"], e), h=nn.ModuleList([block() for _ in range(c["n_layer"])]), ln_f=nn.LayerNorm(e))
        if head == "lm" and not tied:
            self.lm_head = nn.Linear(e, c["vocab_size"], bias=False)
        if head == "classes":
            self.score = nn.Linear(e, len(c["id2label"]), bias=False)

    def forward(self, tokens):
        t, c = self.transformer, self.c
        x = t.wte(tokens) + t.wpe(torch.arange(tokens.size(1)).unsqueeze(0))
        for b in t.h:
            q, k, v = b.attn.c_attn(b.ln_1(x)).split(c["n_embd"], dim=2)
            x = x + b.attn.c_proj(attend(q, k, v, c["n_head"], c["n_head"], True))
            x = x + b.mlp.c_proj(ACT[c["activation_function"]](b.mlp.c_fc(b.ln_2(x))))
        x = t.ln_f(x)
        if self.head == "classes":
            return self.score(x[:, -1])
        if self.head is None:
            return x
        return self.lm_head(x) if hasattr(self, "lm_head") else torch.matmul(x, t.wte.weight.t())


class Bert(nn.Module):
    def __init__(self, c, head="mlm", tied=True, pooler=True):
        super().__init__()
        e, self.head, self.c, f = c["hidden_size"], head, c, c["intermediate_size"]
        norm = lambda: nn.LayerNorm(e, eps=c["layer_norm_eps"])
        layer = lambda: Box(
            attention=Box(self=Box(query=nn.Linear(e, e), key=nn.Linear(e, e), value=nn.Linear(e, e)), output=Box(dense=nn.Linear(e, e), LayerNorm=norm())),
            intermediate=Box(dense=nn.Linear(e, f)), output=Box(dense=nn.Linear(f, e), LayerNorm=norm()))
        parts = dict(
            embeddings=Box(
                word_embeddings=nn.Embedding(c["vocab_size"], e), position_embeddings=nn.Embedding(c["max_position_embeddings"], e),
                token_type_embeddings=nn.Embedding(c["type_vocab_size"], e), LayerNorm=norm()),
            encoder=Box(layer=nn.ModuleList([layer() for _ in range(c["num_hidden_layers"])])))
        if pooler:
            parts["pooler"] = Box(dense=nn.Linear(e, e))
        self.bert = Box(**parts)
        if head in ("mlm", "pretraining"):
            predictions = Box(transform=Box(dense=nn.Linear(e, e), LayerNorm=norm()))
            predictions.bias = nn.Parameter(torch.randn(c["vocab_size"]))
            if not tied:
                predictions.decoder = nn.Linear(e, c["vocab_size"], bias=False)
            self.cls = Box(predictions=predictions)
            if head == "pretraining":
                self.cls.seq_relationship = nn.Linear(e, 2)
        if head in ("classes", "tokens"):
            self.classifier = nn.Linear(e, len(c["id2label"]))
        if head == "answers":
            self.qa_outputs = nn.Linear(e, 2)

    def forward(self, tokens):
        b, c = self.bert, self.c
        m, h = b.embeddings, c["num_attention_heads"]
        places = torch.arange(tokens.size(1)).unsqueeze(0)
        x = m.LayerNorm(m.word_embeddings(tokens) + m.token_type_embeddings(torch.zeros_like(tokens)) + m.position_embeddings(places))
        for layer in b.encoder.layer:
            a = getattr(layer.attention, "self")
            y = layer.attention.output.dense(attend(a.query(x), a.key(x), a.value(x), h, h, False))
            x = layer.attention.output.LayerNorm(x + y)
            y = layer.output.dense(ACT[c["hidden_act"]](layer.intermediate.dense(x)))
            x = layer.output.LayerNorm(x + y)
        if self.head in ("mlm", "pretraining"):
            p = self.cls.predictions
            y = p.transform.LayerNorm(ACT[c["hidden_act"]](p.transform.dense(x)))
            return (p.decoder(y) if hasattr(p, "decoder") else torch.matmul(y, m.word_embeddings.weight.t())) + p.bias
        if self.head == "classes":
            return self.classifier(torch.tanh(b.pooler.dense(x[:, 0])))
        return self.classifier(x) if self.head == "tokens" else self.qa_outputs(x) if self.head == "answers" else x


class Vit(nn.Module):
    def __init__(self, c, head=True, mask=False, pooler=False):
        super().__init__()
        e, f, self.c, bias = c["hidden_size"], c["intermediate_size"], c, c["qkv_bias"]
        norm = lambda: nn.LayerNorm(e, eps=c["layer_norm_eps"])
        layer = lambda: Box(
            attention=Box(attention=Box(query=nn.Linear(e, e, bias=bias), key=nn.Linear(e, e, bias=bias), value=nn.Linear(e, e, bias=bias)), output=Box(dense=nn.Linear(e, e))),
            intermediate=Box(dense=nn.Linear(e, f)), output=Box(dense=nn.Linear(f, e)), layernorm_before=norm(), layernorm_after=norm())
        embeddings = Box(patch_embeddings=Box(projection=nn.Conv2d(c["num_channels"], e, c["patch_size"], c["patch_size"])))
        embeddings.cls_token = nn.Parameter(torch.randn(1, 1, e))
        embeddings.position_embeddings = nn.Parameter(torch.randn(1, (c["image_size"] // c["patch_size"]) ** 2 + 1, e))
        if mask:
            embeddings.mask_token = nn.Parameter(torch.randn(1, 1, e))
        parts = dict(embeddings=embeddings, encoder=Box(layer=nn.ModuleList([layer() for _ in range(c["num_hidden_layers"])])), layernorm=norm())
        if pooler:
            parts["pooler"] = Box(dense=nn.Linear(e, e))
        self.vit = Box(**parts)
        if head:
            self.classifier = nn.Linear(e, len(c["id2label"]))

    def forward(self, x):
        v, c = self.vit, self.c
        x = v.embeddings.patch_embeddings.projection(x).flatten(2).transpose(1, 2)
        x = torch.cat((v.embeddings.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + v.embeddings.position_embeddings
        for layer in v.encoder.layer:
            a, y = layer.attention.attention, layer.layernorm_before(x)
            x = x + layer.attention.output.dense(attend(a.query(y), a.key(y), a.value(y), c["num_attention_heads"], c["num_attention_heads"], False))
            x = x + layer.output.dense(ACT[c["hidden_act"]](layer.intermediate.dense(layer.layernorm_after(x))))
        x = v.layernorm(x)
        return self.classifier(x[:, 0]) if hasattr(self, "classifier") else x


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.rand(width) + 0.5), eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def scaled(rates, c, size):
    """Rates of rotary positions for texts longer than those of training, and what queries and keys are multiplied by."""
    how = c.get("rope_scaling") or {}
    kind = how.get("rope_type", how.get("type", "default"))
    if kind == "linear":
        return rates / how["factor"], 1.0
    if kind == "llama3":
        factor, low, high, old = how["factor"], how["low_freq_factor"], how["high_freq_factor"], how["original_max_position_embeddings"]
        out = []
        for rate in rates.tolist():
            length = 2 * math.pi / rate
            if length < old / high:
                out.append(rate)
            elif length > old / low:
                out.append(rate / factor)
            else:
                smooth = (old / length - low) / (high - low)
                out.append((1 - smooth) * rate / factor + smooth * rate)
        return torch.tensor(out), 1.0
    if kind == "yarn":
        factor, old, base = how["factor"], how.get("original_max_position_embeddings", c["max_position_embeddings"]), c["rope_theta"]
        pair = lambda turns: (size * math.log(old / (turns * 2 * math.pi))) / (2 * math.log(base))
        low, high = max(math.floor(pair(how.get("beta_fast", 32))), 0), min(math.ceil(pair(how.get("beta_slow", 1))), size - 1)
        ramp = ((torch.arange(size // 2).float() - low) / (high - low if high > low else 0.001)).clamp(0, 1)
        return rates / factor * ramp + rates * (1 - ramp), how.get("attention_factor", 0.1 * math.log(factor) + 1)
    return rates, 1.0


class Llama(nn.Module):
    def __init__(self, c, tied=False, classes=False):
        super().__init__()
        e, f, self.c, h, p = c["hidden_size"], c["intermediate_size"], c, c["num_attention_heads"], c["num_key_value_heads"]
        d = self.size = c.get("head_dim") or e // h
        bias, out = c["model_type"] == "qwen2" or c.get("attention_bias", False), c.get("attention_bias", False)
        inner = c.get("mlp_bias", False)
        layer = lambda: Box(
            self_attn=Box(q_proj=nn.Linear(e, h * d, bias), k_proj=nn.Linear(e, p * d, bias), v_proj=nn.Linear(e, p * d, bias), o_proj=nn.Linear(h * d, e, out)),
            mlp=Box(gate_proj=nn.Linear(e, f, inner), up_proj=nn.Linear(e, f, inner), down_proj=nn.Linear(f, e, inner)),
            input_layernorm=RmsNorm(e, c["rms_norm_eps"]), post_attention_layernorm=RmsNorm(e, c["rms_norm_eps"]))
        self.model = Box(
            embed_tokens=nn.Embedding(c["vocab_size"], e), layers=nn.ModuleList([layer() for _ in range(c["num_hidden_layers"])]), norm=RmsNorm(e, c["rms_norm_eps"]))
        if classes:
            self.score = nn.Linear(e, len(c["id2label"]), bias=False)
        elif not tied:
            self.lm_head = nn.Linear(e, c["vocab_size"], bias=False)

    def rotate(self, x):
        rates = 1.0 / (self.c["rope_theta"] ** (torch.arange(0, self.size, 2).float() / self.size))
        rates, gain = scaled(rates, self.c, self.size)
        angles = torch.einsum("i,j->ij", torch.arange(x.shape[2], dtype=torch.float32), rates)
        angles = torch.cat((angles, angles), dim=-1)[None, None]
        half = self.size // 2
        return gain * (x * angles.cos() + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * angles.sin())

    def forward(self, tokens):
        m, c = self.model, self.c
        x = m.embed_tokens(tokens)
        for layer in m.layers:
            a, y = layer.self_attn, layer.input_layernorm(x)
            x = x + a.o_proj(attend(a.q_proj(y), a.k_proj(y), a.v_proj(y), c["num_attention_heads"], c["num_key_value_heads"], True, self.rotate))
            y = layer.post_attention_layernorm(x)
            x = x + layer.mlp.down_proj(ACT[c["hidden_act"]](layer.mlp.gate_proj(y)) * layer.mlp.up_proj(y))
        x = m.norm(x)
        if hasattr(self, "score"):
            return self.score(x[:, -1])
        return self.lm_head(x) if hasattr(self, "lm_head") else torch.matmul(x, m.embed_tokens.weight.t())


class ChannelNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        centred = x - x.mean(1, keepdim=True)
        normed = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * normed + self.bias[:, None, None]


class ConvNext(nn.Module):
    def __init__(self, c, head=True, scale=True):
        super().__init__()
        widths, self.c = c["hidden_sizes"], c

        def layer(w):
            box = Box(dwconv=nn.Conv2d(w, w, 7, padding=3, groups=w), layernorm=nn.LayerNorm(w, eps=1e-6), pwconv1=nn.Linear(w, 4 * w), pwconv2=nn.Linear(4 * w, w))
            if scale:
                box.layer_scale_parameter = nn.Parameter(torch.randn(w))
            return box

        def stage(s):
            box = Box(layers=nn.ModuleList([layer(widths[s]) for _ in range(c["depths"][s])]))
            if s:
                box.downsampling_layer = nn.ModuleList([ChannelNorm(widths[s - 1]), nn.Conv2d(widths[s - 1], widths[s], 2, 2)])
            return box

        self.convnext = Box(
            embeddings=Box(patch_embeddings=nn.Conv2d(c["num_channels"], widths[0], c["patch_size"], c["patch_size"]), layernorm=ChannelNorm(widths[0])),
            encoder=Box(stages=nn.ModuleList([stage(s) for s in range(len(widths))])), layernorm=nn.LayerNorm(widths[-1], eps=c["layer_norm_eps"]))
        if head:
            self.classifier = nn.Linear(widths[-1], len(c["id2label"]))

    def forward(self, x):
        m, c = self.convnext, self.c
        x = m.embeddings.layernorm(m.embeddings.patch_embeddings(x))
        for stage in m.encoder.stages:
            if hasattr(stage, "downsampling_layer"):
                for part in stage.downsampling_layer:
                    x = part(x)
            for l in stage.layers:
                y = l.pwconv2(ACT[c["hidden_act"]](l.pwconv1(l.layernorm(l.dwconv(x).permute(0, 2, 3, 1)))))
                if hasattr(l, "layer_scale_parameter"):
                    y = l.layer_scale_parameter * y
                x = x + y.permute(0, 3, 1, 2)
        x = m.layernorm(x.mean([-2, -1]))
        return self.classifier(x) if hasattr(self, "classifier") else x


class ResNet(nn.Module):
    def __init__(self, c, head=True):
        super().__init__()
        self.c, widths, inputs = c, c["hidden_sizes"], c["embedding_size"]
        part = lambda i, o, k=3, s=1: Box(convolution=nn.Conv2d(i, o, k, s, k // 2, bias=False), normalization=nn.BatchNorm2d(o))
        stages = []
        for s, w in enumerate(widths):
            layers = []
            for k in range(c["depths"][s]):
                stride = 2 if k == 0 and (s > 0 or c["downsample_in_first_stage"]) else 1
                early = c["downsample_in_bottleneck"]
                r = w // 4
                box = Box(layer=nn.ModuleList(
                    [part(inputs, w, 3, stride), part(w, w)] if c["layer_type"] == "basic"
                    else [part(inputs, r, 1, stride if early else 1), part(r, r, 3, 1 if early else stride), part(r, w, 1)]))
                if stride != 1 or inputs != w:
                    box.shortcut = part(inputs, w, 1, stride)
                layers.append(box)
                inputs = w
            stages.append(Box(layers=nn.ModuleList(layers)))
        self.resnet = Box(embedder=Box(embedder=part(c["num_channels"], c["embedding_size"], 7, 2)), encoder=Box(stages=nn.ModuleList(stages)))
        if head:
            self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(inputs, len(c["id2label"])))

    def forward(self, x):
        run = lambda box, x: box.normalization(box.convolution(x))
        act = ACT[self.c["hidden_act"]]
        x = F.max_pool2d(act(run(self.resnet.embedder.embedder, x)), 3, 2, 1)
        for stage in self.resnet.encoder.stages:
            for l in stage.layers:
                y = x
                for k, part in enumerate(l.layer):
                    y = run(part, y)
                    y = act(y) if k < len(l.layer) - 1 else y
                x = act(y + (run(l.shortcut, x) if hasattr(l, "shortcut") else x))
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(x) if hasattr(self, "classifier") else x.flatten(1)


class T5(nn.Module):
    def __init__(self, c, head="lm", tied=True):
        super().__init__()
        e, h, d, f, self.c, self.head = c["d_model"], c["num_heads"], c["d_kv"], c["d_ff"], c, head
        norm = lambda: RmsNorm(e, c["layer_norm_epsilon"])

        def attention(first):
            parts = dict(q=nn.Linear(e, h * d, False), k=nn.Linear(e, h * d, False), v=nn.Linear(e, h * d, False), o=nn.Linear(h * d, e, False))
            if first:
                parts["relative_attention_bias"] = nn.Embedding(c["relative_attention_num_buckets"], h)
            return Box(**parts)

        def inner():
            gated = c["feed_forward_proj"].startswith("gated")
            parts = dict(wi_0=nn.Linear(e, f, False), wi_1=nn.Linear(e, f, False)) if gated else dict(wi=nn.Linear(e, f, False))
            return Box(DenseReluDense=Box(**parts, wo=nn.Linear(f, e, False)), layer_norm=norm())

        def stack(layers, decoder):
            blocks = []
            for k in range(layers):
                layer = [Box(SelfAttention=attention(k == 0), layer_norm=norm())]
                layer += [Box(EncDecAttention=attention(False), layer_norm=norm())] if decoder else []
                blocks.append(Box(layer=nn.ModuleList(layer + [inner()])))
            return Box(block=nn.ModuleList(blocks), final_layer_norm=norm())

        self.shared = nn.Embedding(c["vocab_size"], e)
        self.encoder = stack(c["num_layers"], False)
        if head != "encoder":
            self.decoder = stack(c.get("num_decoder_layers") or c["num_layers"], True)
        if head == "lm" and not tied:
            self.lm_head = nn.Linear(e, c["vocab_size"], bias=False)

    def bucket(self, n, both):
        """As the paper's code has it, number by number."""
        c, rows = self.c, []
        for q in range(n):
            row = []
            for k in range(n):
                buckets, start, far = c["relative_attention_num_buckets"], 0, q - k
                if both:
                    buckets //= 2
                    start, far = (buckets if k > q else 0), abs(far)
                far = max(far, 0)
                single = buckets // 2
                if far >= single:
                    share = math.log(far / single) / math.log(c["relative_attention_max_distance"] / single)
                    far = min(single + int(share * (buckets - single)), buckets - 1)
                row.append(start + far)
            rows.append(row)
        return torch.tensor(rows)

    def attend(self, a, x, y, shift):
        b, n, h = x.shape[0], x.shape[1], self.c["num_heads"]
        q, k, v = (p(t).view(b, t.shape[1], h, -1).transpose(1, 2) for p, t in ((a.q, x), (a.k, y), (a.v, y)))
        scores = torch.matmul(q, k.transpose(-1, -2))
        if shift is not None:
            scores = scores + shift
        return a.o(torch.matmul(F.softmax(scores, dim=-1), v).transpose(1, 2).reshape(b, n, -1))

    def run(self, stack, tokens, encoded=None):
        x, n = self.shared(tokens), tokens.shape[1]
        first = stack.block[0].layer[0].SelfAttention
        shift = first.relative_attention_bias(self.bucket(n, encoded is None)).permute(2, 0, 1).unsqueeze(0)
        if encoded is not None:
            shift = shift + torch.triu(torch.full((n, n), -1e9), diagonal=1)
        for block in stack.block:
            l = block.layer[0]
            y = l.layer_norm(x)
            x = x + self.attend(l.SelfAttention, y, y, shift)
            if encoded is not None:
                l = block.layer[1]
                x = x + self.attend(l.EncDecAttention, l.layer_norm(x), encoded, None)
            l = block.layer[-1]
            y, m = l.layer_norm(x), l.DenseReluDense
            y = m.wo(ACT["gelu_new"](m.wi_0(y)) * m.wi_1(y) if hasattr(m, "wi_0") else F.relu(m.wi(y)))
            x = x + y
        return stack.final_layer_norm(x)

    def forward(self, tokens, before=None):
        x = self.run(self.encoder, tokens)
        if self.head == "encoder":
            return x
        x = self.run(self.decoder, before, x)
        if self.head is None:
            return x
        return self.lm_head(x) if hasattr(self, "lm_head") else torch.matmul(x * self.c["d_model"] ** -0.5, self.shared.weight.t())


def seeded(make):
    torch.manual_seed(int(os.environ.get("SEED", "0")))
    model = make().eval()
    # Numbers at their first ones and zeros would hide a wrong order.
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (1 if "norm" in name.lower() or ".ln_" in name else 0) * name.endswith("weight"))
        for name, b in model.named_buffers():
            if b.dtype == torch.float32:
                b.copy_(torch.rand_like(b) + 0.5)
    return model


def labels(n):
    return {"id2label": {str(k): f"LABEL_{k}" for k in range(n)}}


GPT = dict(
    architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=23, n_positions=12, n_ctx=12, n_embd=24, n_layer=2, n_head=3, n_inner=None,
    activation_function="gelu_new", layer_norm_epsilon=1e-5, attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1, initializer_range=0.02, summary_type="cls_index",
    scale_attn_weights=True, use_cache=True, bos_token_id=22, eos_token_id=22, transformers_version="4.30.0", torch_dtype="float32")
BERT = dict(
    architectures=["BertForMaskedLM"], model_type="bert", vocab_size=31, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
    hidden_act="gelu", max_position_embeddings=10, type_vocab_size=2, layer_norm_eps=1e-12, attention_probs_dropout_prob=0.1, hidden_dropout_prob=0.1,
    initializer_range=0.02, pad_token_id=0, position_embedding_type="absolute", use_cache=True, classifier_dropout=None)
VIT = dict(
    architectures=["ViTForImageClassification"], model_type="vit", hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
    hidden_act="gelu", image_size=8, patch_size=4, num_channels=3, qkv_bias=True, layer_norm_eps=1e-12, encoder_stride=4, **labels(10))
LLAMA = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=29, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, hidden_act="silu", max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=10000.0, rope_scaling=None, attention_bias=False,
    pretraining_tp=1, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)


CONVNEXT = dict(
    architectures=["ConvNextForImageClassification"], model_type="convnext", num_channels=3, patch_size=4, num_stages=2, hidden_sizes=[12, 20], depths=[1, 2],
    hidden_act="gelu", layer_norm_eps=1e-12, layer_scale_init_value=1e-6, drop_path_rate=0.0, image_size=32, initializer_range=0.02, **labels(10))
RESNET = dict(
    architectures=["ResNetForImageClassification"], model_type="resnet", num_channels=3, embedding_size=8, hidden_sizes=[16, 32], depths=[2, 1], layer_type="basic",
    hidden_act="relu", downsample_in_first_stage=False, downsample_in_bottleneck=False, **labels(10))


T5_CONFIG = dict(
    architectures=["T5ForConditionalGeneration"], model_type="t5", vocab_size=27, d_model=16, d_kv=5, d_ff=20, num_layers=2, num_decoder_layers=2, num_heads=3,
    relative_attention_num_buckets=8, relative_attention_max_distance=20, layer_norm_epsilon=1e-6, feed_forward_proj="relu", is_encoder_decoder=True,
    dropout_rate=0.1, initializer_factor=1.0, n_positions=512, decoder_start_token_id=0, use_cache=True)


def tokens(vocabulary, count):
    return lambda: torch.randint(0, vocabulary, (1, count))


def pair(vocabulary, count):
    return lambda: (torch.randint(0, vocabulary, (1, count)), torch.randint(0, vocabulary, (1, count)))


def image(channels, side):
    return lambda: torch.randn(1, channels, side, side)


def plain(state):
    return state


def gpt_buffers(state):
    """As older files have them, with the masks that were buffers."""
    out = dict(state)
    for name in [name for name in state if name.endswith("c_attn.weight")]:
        out[name.replace("c_attn.weight", "bias")] = torch.tril(torch.ones(12, 12)).view(1, 1, 12, 12)
        out[name.replace("c_attn.weight", "masked_bias")] = torch.tensor(-1e4)
    return out


def without(prefix):
    return lambda state: {name[len(prefix):] if name.startswith(prefix) else name: tensor for name, tensor in state.items()}


def bert_old(state):
    """As files of before 2019 have it: other names of norms, and what is tied stored once more."""
    out = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor for name, tensor in state.items()}
    out["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    out["bert.embeddings.position_ids"] = torch.arange(10).unsqueeze(0)
    return out


def tied_copy(name, of):
    return lambda state: {**state, name: state[of]}


# Model, description, input, names and numbers as stored, layout, whether an export says all.
ENTRIES = {
    "gpt2": (lambda c: Gpt2(c), GPT, tokens(23, 12), gpt_buffers, "one", True),
    "gpt2_hub": (lambda c: Gpt2(c), GPT, tokens(23, 12), lambda s: without("transformer.")(gpt_buffers(s)), "bin", True),
    "gpt2_untied": (lambda c: Gpt2(c, tied=False), {**GPT, "tie_word_embeddings": False, "n_inner": 36, "activation_function": "relu"}, tokens(23, 12), plain, "shards", True),
    "gpt2_classes": (lambda c: Gpt2(c, head="classes"), {**GPT, "architectures": ["GPT2ForSequenceClassification"], **labels(4)}, tokens(23, 12), plain, "one", True),
    "gpt2_bare": (lambda c: Gpt2(c, head=None), {**GPT, "architectures": ["GPT2Model"]}, tokens(23, 12), without("transformer."), "one", True),
    "bert": (lambda c: Bert(c, pooler=False), BERT, tokens(31, 10), plain, "one", True),
    "bert_old": (lambda c: Bert(c, head="pretraining"), {**BERT, "architectures": ["BertForPreTraining"]}, tokens(31, 10), bert_old, "bin", False),
    "bert_untied": (lambda c: Bert(c, pooler=False, tied=False), {**BERT, "tie_word_embeddings": False, "hidden_act": "gelu_new"}, tokens(31, 10), plain, "bin_shards", True),
    "bert_classes": (lambda c: Bert(c, head="classes"), {**BERT, "architectures": ["BertForSequenceClassification"], **labels(5)}, tokens(31, 10), plain, "one", True),
    "bert_tokens": (lambda c: Bert(c, head="tokens", pooler=False), {**BERT, "architectures": ["BertForTokenClassification"], **labels(5)}, tokens(31, 10), plain, "one", True),
    "bert_answers": (lambda c: Bert(c, head="answers", pooler=False), {**BERT, "architectures": ["BertForQuestionAnswering"]}, tokens(31, 10), plain, "one", True),
    "bert_bare": (lambda c: Bert(c, head=None), {**BERT, "architectures": ["BertModel"]}, tokens(31, 10), without("bert."), "one", False),
    "vit": (lambda c: Vit(c), VIT, image(3, 8), plain, "one", True),
    "vit_bare": (lambda c: Vit(c, head=False, mask=True, pooler=True), {**VIT, "architectures": ["ViTModel"], "qkv_bias": False, "hidden_act": "quick_gelu"}, image(3, 8), without("vit."), "one", False),
    "llama": (lambda c: Llama(c), LLAMA, tokens(29, 32), plain, "one", True),
    "llama_odd": (lambda c: Llama(c), {**LLAMA, "head_dim": 6, "attention_bias": True, "mlp_bias": True, "rope_theta": 500.0}, tokens(29, 32), plain, "half", True),
    "llama_longer": (lambda c: Llama(c), {**LLAMA, "head_dim": 12, "rope_theta": 50.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}, tokens(29, 32), plain, "one", True),
    "llama_linear": (lambda c: Llama(c), {**LLAMA, "rope_scaling": {"type": "linear", "factor": 2.5}}, tokens(29, 32), plain, "one", True),
    "llama_dynamic": (lambda c: Llama(c), {**LLAMA, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, tokens(29, 32), plain, "one", False),
    "llama_yarn": (lambda c: Llama(c), {**LLAMA, "head_dim": 12, "rope_theta": 50.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 3, "original_max_position_embeddings": 32}}, tokens(29, 32), plain, "one", True),
    "llama_tied": (lambda c: Llama(c, tied=True), {**LLAMA, "tie_word_embeddings": True}, tokens(29, 32), tied_copy("lm_head.weight", "model.embed_tokens.weight"), "one", True),
    "mistral": (lambda c: Llama(c, classes=True), {**LLAMA, "architectures": ["MistralForSequenceClassification"], "model_type": "mistral", "sliding_window": 4096, **labels(3)}, tokens(29, 32), plain, "one", True),
    "qwen2": (lambda c: Llama(c, tied=True), {**{k: v for k, v in LLAMA.items() if k != "attention_bias"}, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 4, "max_window_layers": 2}, tokens(29, 32), plain, "shards", True),
    "t5": (lambda c: T5(c), T5_CONFIG, pair(27, 14), lambda s: {**s, "encoder.embed_tokens.weight": s["shared.weight"], "lm_head.weight": s["shared.weight"]}, "bin", True),
    "t5_gated": (lambda c: T5(c, tied=False), {**T5_CONFIG, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": 1}, pair(27, 14), plain, "shards", True),
    "t5_bare": (lambda c: T5(c, head=None), {**T5_CONFIG, "architectures": ["T5Model"]}, pair(27, 14), plain, "one", False),
    "t5_encoder": (lambda c: T5(c, head="encoder"), {**T5_CONFIG, "architectures": ["T5EncoderModel"]}, tokens(27, 14), plain, "one", True),
    "convnext": (lambda c: ConvNext(c), CONVNEXT, image(3, 32), plain, "one", True),
    "convnext_bare": (lambda c: ConvNext(c, head=False, scale=False), {**CONVNEXT, "architectures": ["ConvNextModel"], "layer_scale_init_value": 0.0}, image(3, 32), without("convnext."), "one", False),
    "resnet": (lambda c: ResNet(c), RESNET, image(3, 32), plain, "one", True),
    "resnet_deep": (lambda c: ResNet(c), {**RESNET, "layer_type": "bottleneck", "downsample_in_first_stage": True}, image(3, 32), plain, "shards", True),
    "resnet_early": (lambda c: ResNet(c), {**RESNET, "layer_type": "bottleneck", "downsample_in_bottleneck": True}, image(3, 32), plain, "bin", True),
    "resnet_bare": (lambda c: ResNet(c, head=False), {**RESNET, "architectures": ["ResNetModel"]}, image(3, 32), without("resnet."), "one", False),
}


def save(folder, state, layout):
    names = list(state)
    halves = {1: names[: len(names) // 2], 2: names[len(names) // 2:]}
    if layout == "one":
        write_safetensors(f"{folder}/model.safetensors", state)
    elif layout == "half":
        write_safetensors(f"{folder}/model.safetensors", {name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor for name, tensor in state.items()})
    elif layout == "bin":
        torch.save(state, f"{folder}/pytorch_model.bin")
    else:
        kind, ending = ("model", "safetensors") if layout == "shards" else ("pytorch_model", "bin")
        map = {}
        for k, part in halves.items():
            file = f"{kind}-{k:05}-of-00002.{ending}"
            tensors = {name: state[name] for name in part}
            write_safetensors(f"{folder}/{file}", tensors) if ending == "safetensors" else torch.save(tensors, f"{folder}/{file}")
            map.update({name: file for name in part})
        total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        with open(f"{folder}/{kind}.{ending}.index.json", "w") as file:
            json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(map.items()))}, file, indent=2)


def write(folder, name):
    make, config, draw, stored, layout, whole = ENTRIES[name]
    model = seeded(lambda: make(config))
    if layout == "half":
        model.load_state_dict({key: value.to(torch.bfloat16).float() for key, value in model.state_dict().items()})
    here = f"{folder}/{name}"
    os.makedirs(here, exist_ok=True)
    with open(f"{here}/config.json", "w") as file:
        json.dump(config, file, indent=2, sort_keys=True)
    with open(f"{here}/tokenizer.json", "w") as file:
        json.dump({"version": "1.0"}, file)
    save(here, stored(model.state_dict()), layout)
    torch.manual_seed(7)
    x = draw()
    with torch.no_grad():
        y = model(*x) if isinstance(x, tuple) else model(x)
    # Two texts lie one after the other.
    torch.save({"input": torch.cat(x, 1) if isinstance(x, tuple) else x, "output": y}, f"{folder}/{name}.io.pt")
    if whole:
        torch.onnx.export(
            model, x, f"{folder}/{name}.onnx", opset_version=16, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    print(name, flush=True)


if __name__ == "__main__":
    for name in sys.argv[2:] or ENTRIES:
        write(sys.argv[1], name)
