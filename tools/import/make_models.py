"""Writes checkpoints of ResNets as PyTorch writes them, and the features of fixed images under each of them.

python make_models.py OUTPUT [NAME ...]: for each model OUTPUT/NAME.pth (or .safetensors) and OUTPUT/NAME.features.json.
Models are plain torch; torchvision and timm are used where they can be imported. test/import/fixtures holds what
fixture_plain, fixture_slimclr and fixture_refused write.
"""

import collections
import json
import os
import sys

import torch
from torch import nn
from torch.nn import functional as F


class Norm(nn.Module):
    """A batch norm for each width, as the official SlimCLR has it."""

    def __init__(self, channels, widths):
        super().__init__()
        self.bn = nn.ModuleList([nn.BatchNorm2d(int(channels * w)) for w in widths])

    def forward(self, x, index):
        return self.bn[index](x)


class Block(nn.Module):
    """A residual block; `slim`: with the names and the widths of the official SlimCLR."""

    def __init__(self, inputs, outputs, stride, bottleneck, widths):
        super().__init__()
        slim = widths is not None
        norm = (lambda c: Norm(c, widths)) if slim else nn.BatchNorm2d
        middle = outputs // 4 if bottleneck else outputs
        layers = [(inputs, middle, 1, 1), (middle, middle, 3, stride), (middle, outputs, 1, 1)]
        if not bottleneck:
            layers = [(inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
        for i, (c, k, kernel, s) in enumerate(layers):
            setattr(self, f"conv{i + 1}", nn.Conv2d(c, k, kernel, s, kernel // 2, bias=False))
            setattr(self, f"bn{i + 1}", norm(k))
        self.count = len(layers)
        self.stride = stride
        if stride != 1 or inputs != outputs:
            shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))
            setattr(self, "shortcut" if slim else "downsample", shortcut)

    def forward(self, x, index, width):
        def conv(layer, x):
            weight = layer.weight[: int(layer.out_channels * width), : x.shape[1]]
            return F.conv2d(x, weight, None, layer.stride, layer.padding)

        def norm(layer, x):
            return layer(x, index) if isinstance(layer, Norm) else layer(x)

        y = x
        for i in range(1, self.count + 1):
            y = norm(getattr(self, f"bn{i}"), conv(getattr(self, f"conv{i}"), y))
            if i < self.count:
                y = F.relu(y)
        shortcut = getattr(self, "downsample", None) or getattr(self, "shortcut", None)
        if shortcut is not None:
            x = norm(shortcut[1], conv(shortcut[0], x))
        return F.relu(x + y)


class ResNet(nn.Module):
    """torchvision's names; with `widths` those of the official SlimCLR."""

    def __init__(self, depths, channels, bottleneck=False, stem="cifar", widths=None, head=None):
        super().__init__()
        kernel, stride = (3, 1) if stem == "cifar" else (7, 2)
        self.widths, self.stem = widths, stem
        self.conv1 = nn.Conv2d(3, channels[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = Norm(channels[0], widths) if widths else nn.BatchNorm2d(channels[0])
        blocks, inputs = [], channels[0]
        for stage, (depth, c) in enumerate(zip(depths, channels)):
            outputs = c * (4 if bottleneck else 1)
            layer = []
            for i in range(depth):
                layer.append(Block(inputs, outputs, 2 if stage and not i else 1, bottleneck, widths))
                inputs = outputs
            blocks += layer
            if not widths:
                setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        if widths:
            self.features = nn.Sequential(*blocks)
        self.blocks_ = [blocks]  # a list of a list: not registered twice
        if head is not None:
            self.fc = head(inputs)

    def forward(self, x, index=0):
        width = self.widths[index] if self.widths else 1
        weight = self.conv1.weight[: int(self.conv1.out_channels * width)]
        x = F.conv2d(x, weight, None, self.conv1.stride, self.conv1.padding)
        x = F.relu(self.bn1(x, index) if self.widths else self.bn1(x))
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for block in self.blocks_[0]:
            x = block(x, index, width)
        return x.mean((2, 3))


def randomized(model):
    """Weights as training could leave them: no gamma is 0 or 1, no statistic as initialised."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            tensor.fill_(5)
        elif tensor.ndim > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.uniform_(-0.5, 0.5, generator=generator)
    return model.eval()


def small(state):
    """The same shapes as strided views of a few storages, so that the file has some kilobytes; types in turn."""
    storages = {}
    count = 320
    for i, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16, torch.float64)):
        generator = torch.Generator().manual_seed(i)
        storages[dtype] = torch.empty(count, dtype=torch.float64).normal_(generator=generator)
    views = collections.OrderedDict()
    for i, (name, tensor) in enumerate(state.items()):
        if not tensor.is_floating_point():
            views[name] = small.counter
            continue
        dtype = list(storages)[i % 4]
        # Strides that fall and rise, none of them those of a contiguous tensor.
        strides = {4: (1, 3, 5, 2), 2: (1, 3), 1: (2,)}[tensor.ndim]
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            key = ("positive", dtype)
            values = storages[dtype].abs() + 0.5
        elif tensor.ndim > 1:
            # A power of 2, exact in every type.
            key = ("weight", dtype)
            values = storages[dtype] * 0.125
        else:
            key = ("beta", dtype)
            values = storages[dtype] * 0.25
        if key not in small.made:
            small.made[key] = values.to(dtype)
        views[name] = small.made[key].as_strided(tensor.shape, strides, i % 32)
    return views


small.made = {}
small.counter = torch.tensor(5)


def images(size, count=2):
    """Fixed images that the other side makes as well: a sine of the index."""
    n = count * 3 * size * size
    index = torch.arange(n, dtype=torch.float64)
    return torch.sin(index * 0.37 + torch.sin(index * 0.011) * 3).float().reshape(count, 3, size, size)


def features(model, size, indices=(0,)):
    with torch.no_grad():
        return [model(images(size), i) if indices != (0,) else model(images(size)) for i in indices]


def write(folder, name, content, model, size, indices=(0,), safetensors=False, protocol=2):
    if safetensors:
        from safetensors.torch import save_file

        save_file(content, os.path.join(folder, f"{name}.safetensors"))
    else:
        torch.save(content, os.path.join(folder, f"{name}.pth"), pickle_protocol=protocol)
    with open(os.path.join(folder, f"{name}.features.json"), "w") as file:
        json.dump({"size": size, "features": [f.tolist() for f in features(model, size, indices)]}, file)


CIFAR = ([3, 3, 3], [16, 32, 64])
WIDE = [64, 128, 256, 512]


def prefixed(prefix, state):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def fixture_plain(folder):
    """ResNet-20 as strided views of mixed types, with a classifier."""
    model = ResNet(*CIFAR, head=lambda c: nn.Linear(c, 10))
    state = model.state_dict()
    views = small(state)
    model.load_state_dict(views)
    # What a state_dict has as an attribute, and what is a parameter in files of other origin.
    views._metadata = state._metadata
    views["fc.weight"] = nn.Parameter(views["fc.weight"])
    write(folder, "plain", views, model.eval(), 16)


def fixture_slimclr(folder):
    """ResNet-20 at widths 1 and 0.5 with the official names, MoCo v2 heads, the key network and training state."""
    head = lambda c: nn.Sequential(nn.Linear(c, c), nn.ReLU(), nn.Linear(c, 16))
    model = ResNet(*CIFAR, widths=[1.0, 0.5], head=head)
    state = small(model.state_dict())
    model.load_state_dict(state)
    both = prefixed("module.encoder_q.", state)
    # The beginning of the key network, which has the same names.
    both.update(prefixed("module.encoder_k.", dict(list(state.items())[:24])))
    both["module.queue"] = torch.zeros(16).expand(4, 16)
    both["module.queue_ptr"] = torch.zeros(1, dtype=torch.long)
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.03}]}
    checkpoint = {"epoch": 200, "arch": "s_resnet20", "state_dict": both, "optimizer": optimizer}
    write(folder, "slimclr", checkpoint, model.eval(), 16, (0, 1))


def fixture_refused(folder):
    """What must not be read, and above all not executed."""

    class Evil:
        def __reduce__(self):
            return os.system, ("touch executed-by-a-pickle",)

    class Foreign:
        pass

    globals()["Foreign"] = Foreign
    Foreign.__qualname__ = "Foreign"
    torch.save({"state_dict": Evil()}, os.path.join(folder, "evil.pth"))
    torch.save({"state_dict": {"w": torch.ones(1)}, "args": Foreign()}, os.path.join(folder, "foreign.pth"))
    torch.save({"w": torch.ones(2)}, os.path.join(folder, "legacy.pth"), _use_new_zipfile_serialization=False)


def resnet18(folder):
    """ResNet-18 with the CIFAR stem inside a MoCo v2 model, float32."""
    head = lambda c: nn.Sequential(nn.Linear(c, c), nn.ReLU(), nn.Linear(c, 128))
    model = randomized(ResNet([2, 2, 2, 2], WIDE, head=head))
    state = prefixed("module.encoder_q.", model.state_dict())
    state.update(prefixed("module.encoder_k.", model.state_dict()))
    write(folder, "resnet18", {"epoch": 1, "state_dict": state}, model, 32, protocol=5)


def schedule():
    """Of a learning rate, which training scripts keep beside the weights."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [60, 80]).state_dict()


def resnet50(folder):
    """ResNet-50 at four widths with the official names."""
    model = ResNet([3, 4, 6, 3], WIDE, True, "imagenet", [1.0, 0.75, 0.5, 0.25])
    state = nn.DataParallel(randomized(model)).state_dict()
    write(folder, "resnet50", {"state_dict": state, "scheduler": schedule()}, model, 64, (0, 1, 2, 3))


def torchvision(folder):
    """torchvision's own ResNet-50, float16 on disk."""
    from torchvision.models import resnet50

    model = randomized(resnet50()).half().float()
    state = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    whole = nn.Sequential(*list(model.children())[:-1], nn.Flatten())
    write(folder, "torchvision", state, whole, 64)


def timm(folder):
    """timm's own ResNet-18 and 50, safetensors as on the Hub."""
    import timm as library

    for name in ("resnet18", "resnet50"):
        model = randomized(library.create_model(name))
        whole = nn.Sequential(model, nn.Identity())
        whole.forward = lambda x, model=model: model.global_pool(model.forward_features(x))
        write(folder, f"timm-{name}", dict(model.state_dict()), whole, 64, safetensors=True)


made = {f.__name__: f for f in (fixture_plain, fixture_slimclr, fixture_refused, resnet18, resnet50, torchvision, timm)}

if __name__ == "__main__":
    output, *names = sys.argv[1:]
    os.makedirs(output, exist_ok=True)
    torch.set_num_threads(2)
    for name in names or made:
        try:
            made[name](output)
            print(name)
        except ImportError as error:
            print(f"{name}: not made ({error})", file=sys.stderr)
