"""One step of each optimiser. What they remember of a parameter are its slots."""

from typing import Callable, Dict, List

import torch
from torch import Tensor

# By kind of optimiser, as in names of tensors: `velocity.PARAMETER`.
SLOTS = {"sgd": ["velocity"], "lars": ["velocity"], "adamw": ["first_moment", "second_moment"]}


def sgd(parameter: Tensor, slots: Dict[str, Tensor], rate: float, decay: float, config: dict, _step: int) -> None:
    """PyTorch's own, with momentum."""
    optimizer = torch.optim.SGD(
        [parameter], lr=rate, momentum=config["momentum"], weight_decay=decay, nesterov=config["nesterov"]
    )
    optimizer.state[parameter]["momentum_buffer"] = slots["velocity"]
    optimizer.step()
    slots["velocity"] = optimizer.state[parameter]["momentum_buffer"]


def lars(parameter: Tensor, slots: Dict[str, Tensor], rate: float, decay: float, config: dict, _step: int) -> None:
    """mu = momentum mu + q (g + decay p), p -= rate mu; q = trust |p| / |g + decay p| for tensors of more than one
    dimension, 1 for others (You et al., 2017)."""
    direction = parameter.grad + decay * parameter
    if parameter.dim() > 1:
        norm, length = parameter.norm(), direction.norm()
        if norm > 0 and length > 0:
            direction = config["trust"] * norm / length * direction
    slots["velocity"] = config["momentum"] * slots["velocity"] + direction
    parameter -= rate * slots["velocity"]


def adamw(parameter: Tensor, slots: Dict[str, Tensor], rate: float, decay: float, config: dict, step: int) -> None:
    """PyTorch's own."""
    optimizer = torch.optim.AdamW(
        [parameter],
        lr=rate,
        betas=(config["beta1"], config["beta2"]),
        eps=config["epsilon"],
        weight_decay=decay,
    )
    optimizer.state[parameter].update(
        step=torch.tensor(float(step - 1)), exp_avg=slots["first_moment"], exp_avg_sq=slots["second_moment"]
    )
    optimizer.step()
    slots["first_moment"] = optimizer.state[parameter]["exp_avg"]
    slots["second_moment"] = optimizer.state[parameter]["exp_avg_sq"]


_OPTIMIZERS: Dict[str, Callable[..., None]] = {"sgd": sgd, "lars": lars, "adamw": adamw}


def update(
    config: dict,
    trained: Dict[str, Tensor],
    slots: Dict[str, Dict[str, Tensor]],
    rate: float,
    decay: float,
    steps: Dict[str, int],
) -> None:
    """Clip the gradients and move parameters and slots, by name. A parameter without a gradient rests. `steps`: how
    many updates each parameter has had with this one. The role of a parameter, which says whether it decays, is the
    last part of its name."""
    moving: List[str] = [name for name, parameter in trained.items() if parameter.grad is not None]
    if config["clipNorm"] > 0:
        torch.nn.utils.clip_grad_norm_([trained[name] for name in moving], config["clipNorm"])
    with torch.no_grad():
        for name in moving:
            own_decay = decay if name.rpartition(".")[2] in config["decay"] else 0
            _OPTIMIZERS[config["kind"]](trained[name], slots[name], rate, own_decay, config, steps[name])
