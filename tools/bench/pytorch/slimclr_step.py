"""One training step of SlimCLR on MoCo v2 in PyTorch, written for speed on the CPU.

What it computes is checked against tools/reference by test_slimclr_step.py.
"""

import warnings
from inspect import signature
from typing import Dict, List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from network import Network, share_gradients, share_weights


def loss_weights(widths: List[float], reweighting: str) -> List[float]:
    full = 1 + sum(widths[1:]) if reweighting == "sum-of-others" else 1
    return [full] + [1] * (len(widths) - 1)


def build_optimizer(networks: List[Network], config: dict) -> torch.optim.SGD:
    """SGD over the full network and the batch norms of the narrow ones, decay by role as the config says.

    Measured on the CPU: fused takes half the time of the loop over tensors, foreach half as much again.
    """
    sgd = config["optimizer"]
    groups: Dict[bool, List[nn.Parameter]] = {True: [], False: []}
    for index, network in enumerate(networks):
        for module in network.modules():
            norm = isinstance(module, nn.BatchNorm2d)
            if index == 0 or norm:
                for name, parameter in module.named_parameters(recurse=False):
                    role = {"weight": "gamma", "bias": "beta"}[name] if norm else name
                    groups[role in sgd["decay"]].append(parameter)
    return torch.optim.SGD(
        [
            {"params": groups[True], "weight_decay": sgd["weightDecay"]},
            {"params": groups[False], "weight_decay": 0},
        ],
        lr=config["schedule"]["peak"],
        momentum=sgd["momentum"],
        **({"fused": True} if "fused" in signature(torch.optim.SGD).parameters else {"foreach": False}),
    )


class SlimclrStep:
    """The networks of all widths, the key network, queue and optimiser of one config (manifest.json's)."""

    def __init__(self, config: dict, channels_last: bool, compiled: bool):
        # The gradient of a slice has the strides of the whole. PyTorch adds into it as fast as into any other.
        warnings.filterwarnings("ignore", "grad and param do not obey the gradient layout contract")
        self.method = config["method"]
        techniques = config["techniques"]
        self.distillation = techniques["distillation"]
        kind, teachers = self.distillation["kind"], self.distillation.get("teachers")
        if self.method["kind"] != "moco-v2" or kind not in ("none", "kd-logits") or teachers == "larger":
            raise ValueError(
                f"{self.method['kind']} with {kind} from {teachers}; accepted: moco-v2 with none, or kd-logits from full"
            )
        widths = config["widths"]
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        networks = [Network(config, width).to(memory_format=self.memory_format) for width in widths]
        self.full, *self.narrow = networks
        for narrow in self.narrow:
            share_weights(narrow, self.full)
        self.key = Network(config, widths[0]).to(memory_format=self.memory_format).requires_grad_(False)
        self.key.load_state_dict(self.full.state_dict())
        self.weights = loss_weights(widths, techniques["reweighting"]["kind"])
        self.targets = torch.zeros(config["batchSize"], dtype=torch.long)
        queue = torch.randn(self.method["queueSize"], self.method["dimension"])
        self.queue = F.normalize(queue, dim=1)
        self.row = 0
        self.optimizer = build_optimizer(networks, config)
        wrap = torch.compile if compiled else lambda network: network
        self.embed = [wrap(network) for network in networks]
        self.embed_key = wrap(self.key)
        # The compiler cannot trace into inference mode; without gradients its graphs are the same in both.
        self.without_gradient = torch.no_grad if compiled else torch.inference_mode

    def run(self, view1: Tensor, view2: Tensor) -> List[float]:
        """Losses of the widths for views [N, 3, S, S] in the networks' memory format."""
        keys = self._move_and_embed_keys(view2)
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        soft_targets = None
        for index, embed in enumerate(self.embed):
            features = embed(view1)  # [N, D]
            positive = (features * keys).sum(1, keepdim=True)
            logits = torch.cat([positive, features @ self.queue.T], 1)  # [N, 1 + K]
            loss = F.cross_entropy(logits / self.method["temperature"], self.targets)
            kd = self.distillation
            if kd["kind"] == "kd-logits":
                if index == 0:
                    soft_targets = F.softmax(logits.detach() / kd["teacherTemperature"], 1)
                else:
                    temperature = kd["studentTemperature"]
                    distilled = F.cross_entropy(logits / temperature, soft_targets) * temperature**2
                    loss = (1 - kd["weight"]) * loss + kd["weight"] * distilled
            if index > 0:
                share_gradients(self.narrow[index - 1], self.full)
            self.backward(self.weights[index] * loss)
            losses.append(loss.detach())
        self.update()
        # MoCo's keys replace the oldest entries.
        self.queue[self.row : self.row + len(keys)] = keys
        self.row = (self.row + len(keys)) % len(self.queue)
        return [loss.item() for loss in losses]

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        self.optimizer.step()

    def _move_and_embed_keys(self, view2: Tensor) -> Tensor:
        with self.without_gradient():
            query, key = list(self.full.parameters()), list(self.key.parameters())
            momentum = self.method["keyMomentum"]
            if hasattr(torch, "_foreach_lerp_"):
                torch._foreach_lerp_(key, query, 1 - momentum)
            else:
                torch._foreach_mul_(key, momentum)
                torch._foreach_add_(key, query, alpha=1 - momentum)
            keys = self.embed_key(view2)
        # A tensor made in inference mode cannot take part in a backward pass.
        return keys.clone()
