"""One training step of a config, with every intermediate that the emitted graphs return."""

from contextlib import contextmanager
from typing import Dict, Iterator, List

import numpy as np
import torch
from torch import Tensor, nn

from losses import Outcome, distillation, loss_weights
from methods import METHODS, Moment, Tensors
from optimizers import SLOTS, update
from slimclr_reference import parameters, statistics, width_label


@contextmanager
def record_relus(model: nn.Module) -> Iterator[Dict[str, Tensor]]:
    """Which units of each ReLU are on, one bit a unit, in all passes, so that runs can be compared unit by unit."""
    masks: Dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):

            def record(_module: nn.Module, _inputs: tuple, output: Tensor, name: str = name) -> None:
                bits = torch.from_numpy(np.packbits((output.detach() > 0).numpy()))
                masks[name] = torch.cat([masks[name], bits]) if name in masks else bits

            hooks.append(module.register_forward_hook(record))
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def train_step(config: dict, tensors: Tensors, moment: Moment) -> Tensors:
    """Momentum update and keys where the method has them, losses and gradients of every width, optimiser.

    `tensors` holds what README.md lists as inputs; the result holds what it lists as outputs. All floating-point
    tensors have one dtype.
    """
    method = METHODS[config["method"]["kind"]](config, tensors)
    techniques = config["techniques"]
    trained = parameters(method.network)
    method.prepare(moment)
    out = dict(method.results)

    widths = method.widths
    weights = loss_weights(widths, techniques["reweighting"]["kind"])
    if moment.slow_start:
        widths, weights = widths[:1], [1]
    gradients: Tensors = {}
    larger: List[List[Outcome]] = []
    for width, weight in zip(widths, weights):
        label = width_label(width)
        with record_relus(method.network) as masks:
            outcomes = method.outcomes(width)
        out.update({f"{label}.relu.{name}": mask for name, mask in masks.items()})
        own = sum(outcome.loss for outcome in outcomes)
        taught = [
            distillation(outcome, [each[index] for each in larger], techniques["distillation"])
            for index, outcome in enumerate(outcomes)
        ]
        loss = own
        if None not in taught:
            share = techniques["distillation"]["weight"]
            loss = (1 - share) * own + share * sum(taught)
            out[f"{label}.distillation"] = sum(taught).detach()
        out[f"{label}.loss"] = loss.detach()
        out[f"{label}.{method.term}"] = own.detach()
        out[f"{label}.logits"] = torch.cat([outcome.logits for outcome in outcomes]).detach()
        if outcomes[0].features is not None:
            out[f"{label}.embedding"] = torch.cat([outcome.features for outcome in outcomes]).detach()
        per_width = torch.autograd.grad(weight * loss, list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, per_width):
            if gradient is not None:  # None: another width's batch norm
                out[f"{label}.grad.{name}"] = gradient
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
        larger.append([outcome.detached() for outcome in outcomes])

    out.update({f"grad.{name}": gradient for name, gradient in gradients.items()})
    slots: Dict[str, Tensors] = {}
    for name, parameter in trained.items():
        # Clipping scales it in place.
        parameter.grad = gradients[name].clone() if name in gradients else None
        slots[name] = {
            slot: tensors.get(f"{slot}.{name}", torch.zeros_like(parameter)).clone()
            for slot in SLOTS[config["optimizer"]["kind"]]
        }
    full = width_label(widths[0])
    steps = {
        name: 1 + (moment.step if f"{full}.grad.{name}" in out else moment.narrow_steps) for name in trained
    }
    update(config["optimizer"], trained, slots, moment.learning_rate, moment.weight_decay, steps)
    for name, parameter in trained.items():
        out[f"new.{name}"] = parameter.detach()
        out.update({f"new.{slot}.{name}": value for slot, value in slots[name].items()})
    out.update({f"new.{name}": tensor for name, tensor in statistics(method.network).items()})
    return out
