"""The methods: SlimCLR on MoCo v2 (He et al., arXiv 1911.05722), MoCo v3 (Chen et al., arXiv 2104.02057) and SimCLR
(Chen et al., arXiv 2002.05709), supervised slimmable training (Yu et al., arXiv 1812.08928), SEED (Fang et al.,
arXiv 2101.04731). Each says which batches run through the trained network, one by one, and what loss a width has.

A step may have several micro-batches: the images of a step are `accumulation` times those of a batch, batch norm sees
one micro-batch at a time, and losses see the embeddings of all.
"""

import math
from dataclasses import dataclass
from typing import Dict, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads import build_network
from losses import (
    Outcome,
    batch_logits,
    contrastive_logits,
    info_nce,
    nt_xent_logits,
    soft_cross_entropy,
)
from slimclr_reference import parameters, statistics, widths_of

Tensors = Dict[str, Tensor]


@dataclass
class Moment:
    """Where in a training the step is."""

    learning_rate: float
    weight_decay: float
    step: int = 0
    """Steps before this one."""
    narrow_steps: int = 0
    """Those of them that trained all widths."""
    total_steps: int = 1
    slow_start: bool = False
    """Only the full width trains, with weight 1."""


def load(network: nn.Module, tensors: Tensors, prefix: str = "") -> None:
    """Parameters and statistics by the names of the manifest; a parameter of a key network that is missing is the
    trained network's."""
    with torch.no_grad():
        for name, tensor in parameters(network).items():
            tensor.copy_(tensors[f"{prefix}{name}"] if f"{prefix}{name}" in tensors else tensors[name])
        for name, tensor in statistics(network).items():
            tensor.copy_(tensors[f"{prefix}{name}"])


def replace_oldest(queue: Tensor, keys: Tensor, step: int) -> Tensor:
    """The [K, D] queue, a ring, after a step has put its [M, D] keys in the place of the oldest ones."""
    queue = queue.clone()
    start = step * len(keys) % len(queue)
    queue[start : start + len(keys)] = keys
    return queue


class Method:
    """A trained network and what its losses need beside it. `tensors` holds what README.md lists as inputs."""

    views: Sequence[str] = ("view1",)
    """What the trained network sees."""
    term: str
    """Name of the loss without distillation."""

    def __init__(self, config: dict, tensors: Tensors):
        self.config = config["method"]
        self.tensors = tensors
        self.micro_batches = config["accumulation"]
        self.widths = widths_of(config)
        self.network = build_network(config, self.widths).to(tensors["view1"].dtype)
        load(self.network, tensors)
        self.results: Tensors = {}
        """What is compared beside losses, gradients and what the optimiser changes."""

    def micro(self, name: str) -> Sequence[Tensor]:
        """The micro-batches of an input."""
        return self.tensors[name].chunk(self.micro_batches)

    def passes(self) -> List[Tensor]:
        """What runs through the trained network, a batch of images each."""
        return list(self.micro("view1"))

    def embed(self, width: float) -> List[Tensor]:
        """The network's outputs of all passes."""
        return [self.network(images, width) for images in self.passes()]

    def prepare(self, moment: Moment) -> None:
        """What comes before the widths, once a step."""

    def outcomes(self, width: float) -> List[Outcome]:
        """A width's losses, which add up."""
        raise NotImplementedError


class MomentumMethod(Method):
    """With a key network that follows the trained one."""

    def __init__(self, config: dict, tensors: Tensors):
        super().__init__(config, tensors)
        self.key = build_network(config, self.widths[:1], key=True).to(tensors["view1"].dtype)
        load(self.key, tensors, "key.")

    def follow(self, momentum: float) -> None:
        """key = momentum * key + (1 - momentum) * trained, parameters only."""
        trained = parameters(self.network)
        for name, tensor in parameters(self.key).items():
            tensor.mul_(momentum).add_(trained[name], alpha=1 - momentum)

    def finish(self, keys: Tensors) -> List[Tensor]:
        """Report the key network and its keys. Keys may be given, so that both sides of a comparison see the same."""
        for name, tensor in {**parameters(self.key), **statistics(self.key)}.items():
            self.results[f"new.key.{name}"] = tensor.detach()
        self.results.update(keys)
        return [self.tensors.get(name, value) for name, value in keys.items()]


class MocoV2(MomentumMethod):
    """A queue of keys of a momentum encoder; the key of an image is that of its view 2."""

    term = "info_nce"

    @torch.no_grad()
    def prepare(self, moment: Moment) -> None:
        self.follow(self.config["keyMomentum"])
        (self.keys,) = self.finish({"keys": torch.cat([self.key(images, 1.0) for images in self.micro("view2")])})
        self.results["new.queue"] = replace_oldest(self.tensors["queue"], self.keys, moment.step)

    def outcomes(self, width: float) -> List[Outcome]:
        features = torch.cat(self.embed(width))  # [M, D]
        logits = contrastive_logits(features, self.keys, self.tensors["queue"])  # [M, 1 + K]
        return [Outcome(info_nce(logits, self.config["temperature"]), logits, first_column(logits), features)]


class MocoV3(MomentumMethod):
    """Each view against the keys of the other view of all images of the step; both directions add up."""

    views = ("view1", "view2")
    term = "info_nce"

    def passes(self) -> List[Tensor]:
        return [view for views in zip(self.micro("view1"), self.micro("view2")) for view in views]

    @torch.no_grad()
    def prepare(self, moment: Moment) -> None:
        # From keyMomentum to 1 along half a cosine.
        cosine = math.cos(math.pi * moment.step / moment.total_steps)
        self.follow(1 - 0.5 * (1 + cosine) * (1 - self.config["keyMomentum"]))
        keys = [self.key(images, 1.0) for images in self.passes()]
        self.keys = self.finish({"keys1": torch.cat(keys[::2]), "keys2": torch.cat(keys[1::2])})

    def outcomes(self, width: float) -> List[Outcome]:
        temperature = self.config["temperature"]
        embedded = self.embed(width)
        directions = []
        for view, other in ((0, 1), (1, 0)):
            features = torch.cat(embedded[view::2])  # [M, D]
            similarities = batch_logits(features, self.keys[other])  # [M, M]
            loss = 2 * temperature * info_nce(similarities, temperature)
            directions.append(Outcome(loss, similarities / temperature, first_column(similarities), features))
        return directions


class Simclr(Method):
    """NT-Xent between all views of the step. The two views of a micro-batch are one batch, view 1 first."""

    views = ("view1", "view2")
    term = "nt_xent"

    def passes(self) -> List[Tensor]:
        return [torch.cat(views) for views in zip(self.micro("view1"), self.micro("view2"))]

    def outcomes(self, width: float) -> List[Outcome]:
        halves = [features.chunk(2) for features in self.embed(width)]
        features = torch.cat([torch.cat(view) for view in zip(*halves)])  # [2M, D]
        logits = nt_xent_logits(features)  # [2M, 2M - 1]
        return [Outcome(info_nce(logits, self.config["temperature"]), logits, first_column(logits), features)]


class Supervised(Method):
    """Cross entropy with the labels."""

    term = "cross_entropy"

    def outcomes(self, width: float) -> List[Outcome]:
        logits = torch.cat(self.embed(width))  # [M, classes]
        labels = self.tensors["labels"].long()
        return [Outcome(F.cross_entropy(logits, labels), logits, labels)]


class Seed(Method):
    """A frozen teacher embeds what the student sees; the student learns the teacher's similarities with that
    embedding and with a queue of earlier ones."""

    term = "seed"

    def prepare(self, moment: Moment) -> None:
        self.keys = F.normalize(self.tensors["teacher"], dim=1)  # [M, D]
        new_queue = replace_oldest(self.tensors["queue"], self.keys, moment.step)
        self.results = {"keys": self.keys, "new.queue": new_queue}

    def outcomes(self, width: float) -> List[Outcome]:
        features = torch.cat(self.embed(width))  # [M, D]
        student = contrastive_logits(features, self.keys, self.tensors["queue"])  # [M, 1 + K]
        teacher = contrastive_logits(self.keys, self.keys, self.tensors["queue"])
        loss = soft_cross_entropy(student, teacher, self.config["temperature"], self.config["teacherTemperature"])
        return [Outcome(loss, student, first_column(student), features)]


def first_column(logits: Tensor) -> Tensor:
    """Where contrastive logits have the positive."""
    return torch.zeros(len(logits), dtype=torch.long)


METHODS = {"moco-v2": MocoV2, "moco-v3": MocoV3, "simclr": Simclr, "supervised": Supervised, "seed": Seed}
