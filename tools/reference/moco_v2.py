"""One training step of SlimCLR on MoCo v2 (arXiv 2209.15525, section 3; He et al., arXiv 1911.05722), with every
intermediate that the emitted graphs return."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slimclr_reference import Embedder, MocoV2Head, build_encoder, parameters, statistics, width_label


def info_nce(logits: Tensor, temperature: float) -> Tensor:
    """Cross entropy of [N, 1 + K] logits / temperature with the positive at index 0, mean over N."""
    target = torch.zeros(len(logits), dtype=torch.long)
    return F.cross_entropy(logits / temperature, target)


def distillation(student: Tensor, teacher: Tensor, student_temperature: float, teacher_temperature: float) -> Tensor:
    """Soft cross entropy (SEED) of [N, 1 + K] logits, mean over N, times the student's temperature squared."""
    target = F.softmax(teacher / teacher_temperature, dim=1)
    log_probability = F.log_softmax(student / student_temperature, dim=1)
    return -(target * log_probability).sum(dim=1).mean() * student_temperature**2


def loss_weights(widths: Sequence[float], reweighting: str) -> List[float]:
    """lambda of each width: 1 + the sum of the others for the full width, 1 for the others; or all ones."""
    full = 1 + sum(widths[1:]) if reweighting == "sum-of-others" else 1
    return [full] + [1] * (len(widths) - 1)


def build_model(config: dict, widths: Sequence[float], dtype: torch.dtype) -> Embedder:
    """Encoder and head of a config; the key encoder is the same with `widths` [1.0]."""
    encoder = build_encoder(config["encoder"]["name"], config["encoder"]["stem"], widths)
    head = MocoV2Head(encoder.out_channels, config["method"]["dimension"])
    return Embedder(encoder, head).to(dtype).train()


@contextmanager
def record_relus(model: nn.Module) -> Iterator[Dict[str, Tensor]]:
    """Which units of each ReLU are on, one bit a unit, so that two runs can be compared unit by unit."""
    masks: Dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):

            def record(_module: nn.Module, _inputs: tuple, output: Tensor, name: str = name) -> None:
                masks[name] = torch.from_numpy(np.packbits((output.detach() > 0).numpy()))

            hooks.append(module.register_forward_hook(record))
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def train_step(
    config: dict, widths: Sequence[float], tensors: Dict[str, Tensor], learning_rate: float, weight_decay: float
) -> Dict[str, Tensor]:
    """Momentum update of the key encoder, keys from view 2, losses and gradients of every width from view 1, SGD.

    `tensors` holds what README.md lists as inputs; the result holds what it lists as outputs. All floating-point
    tensors have one dtype.
    """
    method = config["method"]
    dtype = tensors["view1"].dtype
    query = build_model(config, widths, dtype)
    key = build_model(config, widths[:1], dtype)
    trained = parameters(query)
    with torch.no_grad():
        for name, tensor in {**trained, **statistics(query)}.items():
            tensor.copy_(tensors[name])
        for name, tensor in parameters(key).items():
            tensor.copy_(tensors.get(f"key.{name}", tensors[name]))
        for name, tensor in statistics(key).items():
            tensor.copy_(tensors[f"key.{name}"])

    # 1. The key encoder follows the query encoder (parameters only), then embeds view 2 at full width.
    with torch.no_grad():
        for name, tensor in parameters(key).items():
            tensor.mul_(method["keyMomentum"]).add_(trained[name], alpha=1 - method["keyMomentum"])
        keys = key(tensors["view2"], width=widths[0])  # [N, D]
    out = {"keys": keys}
    for name, tensor in {**parameters(key), **statistics(key)}.items():
        out[f"new.key.{name}"] = tensor.detach()
    # Keys may be given, so that both sides of a comparison see the same ones.
    keys = tensors.get("keys", keys)
    queue = tensors["queue"]  # [K, D]

    # 2. Every width on view 1 against the same keys and queue; gradients sum into the shared weights.
    gradients = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
    teacher = None
    for width, weight in zip(widths, loss_weights(widths, method["reweighting"]["kind"])):
        label = width_label(width)
        with record_relus(query) as masks:
            features = query(tensors["view1"], width)  # [N, D]
        out.update({f"{label}.relu.{name}": mask for name, mask in masks.items()})
        logits = torch.cat([(features * keys).sum(dim=1, keepdim=True), features @ queue.T], dim=1)  # [N, 1 + K]
        contrastive = info_nce(logits, method["temperature"])
        loss = contrastive
        if teacher is None:
            teacher = logits.detach()
        elif method["distillation"]["kind"] == "kd":
            kd = method["distillation"]
            distilled = distillation(logits, teacher, kd["studentTemperature"], kd["teacherTemperature"])
            loss = (1 - kd["weight"]) * contrastive + kd["weight"] * distilled
            out[f"{label}.distillation"] = distilled.detach()
        out[f"{label}.loss"] = loss.detach()
        out[f"{label}.info_nce"] = contrastive.detach()
        out[f"{label}.logits"] = logits.detach()
        per_width = torch.autograd.grad(weight * loss, list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, per_width):
            if gradient is not None:  # None: another width's batch norm
                out[f"{label}.grad.{name}"] = gradient
                gradients[name] += gradient

    # 3. SGD. The role of a parameter is the last part of its name.
    decays = config["optimizer"]["decay"]
    groups: Dict[bool, List[nn.Parameter]] = {True: [], False: []}
    for name, parameter in trained.items():
        groups[name.rpartition(".")[2] in decays].append(parameter)
    optimizer = torch.optim.SGD(
        [
            {"params": groups[True], "weight_decay": weight_decay},
            {"params": groups[False], "weight_decay": 0},
        ],
        lr=learning_rate,
        momentum=config["optimizer"]["momentum"],
    )
    for name, parameter in trained.items():
        parameter.grad = gradients[name]
        if f"velocity.{name}" in tensors:
            optimizer.state[parameter]["momentum_buffer"] = tensors[f"velocity.{name}"].clone()
        out[f"grad.{name}"] = gradients[name]
    optimizer.step()
    for name, parameter in trained.items():
        out[f"new.{name}"] = parameter.detach()
        out[f"new.velocity.{name}"] = optimizer.state[parameter]["momentum_buffer"]
    for name, tensor in statistics(query).items():
        out[f"new.{name}"] = tensor
    return out
