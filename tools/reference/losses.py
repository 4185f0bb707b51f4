"""Losses of the methods, distillation and re-weighting, each as its paper writes it. Every [R, 1 + K] logits of a
contrastive method have the positive in column 0."""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class Outcome(NamedTuple):
    """What a method computes at one width, over all rows of all micro-batches."""

    loss: Tensor
    """Of the method, without distillation; scalar."""
    logits: Tensor
    """[R, C], as distillation takes them."""
    targets: Tensor
    """[R], the column of the positive, or the label."""
    features: Optional[Tensor] = None
    """[R, D], the embeddings that the loss sees."""

    def detached(self) -> "Outcome":
        """As a teacher."""
        return Outcome(*(None if tensor is None else tensor.detach() for tensor in self))


def contrastive_logits(features: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Similarities of [R, D] features with [R, D] positives and [K, D] negatives that all rows share. [R, 1 + K]."""
    return torch.cat([(features * positives).sum(dim=1, keepdim=True), features @ negatives.T], dim=1)


def batch_logits(features: Tensor, keys: Tensor) -> Tensor:
    """MoCo v3: similarities of [M, D] features with [M, D] keys, the key of the same image first. [M, M]."""
    return _first(features @ keys.T, torch.arange(len(keys)))


def nt_xent_logits(features: Tensor) -> Tensor:
    """SimCLR: of [2M, D] features, view 1 of all images and then view 2, the similarities of each with the other
    view of its image and with all other features; not with itself. [2M, 2M - 1]."""
    count = len(features)
    others = ~torch.eye(count, dtype=torch.bool)
    similarities = (features @ features.T)[others].view(count, count - 1)
    # Without itself, what stands behind the diagonal moves one column to the left.
    row = torch.arange(count)
    partner = (row + count // 2) % count
    return _first(similarities, torch.where(partner > row, partner - 1, partner))


def _first(logits: Tensor, columns: Tensor) -> Tensor:
    """Rows with the element of the given column moved to the front."""
    positive = F.one_hot(columns, logits.shape[1]).bool()
    return torch.cat([logits[positive][:, None], logits[~positive].view(len(logits), -1)], dim=1)


def info_nce(logits: Tensor, temperature: float) -> Tensor:
    """Cross entropy of [R, 1 + K] logits / temperature with the positive at index 0, mean over R."""
    target = torch.zeros(len(logits), dtype=torch.long)
    return F.cross_entropy(logits / temperature, target)


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """-sum_j softmax(teacher / T_t)_j log softmax(student / T_s)_j, mean over rows. The loss of SEED."""
    target = F.softmax(teacher / teacher_temperature, dim=1)
    return -(target * F.log_softmax(student / student_temperature, dim=1)).sum(dim=1).mean()


def kd(student: Tensor, teacher: Tensor, kind: dict) -> Tensor:
    """Soft cross entropy times the student's temperature squared."""
    temperature = kind["studentTemperature"]
    return soft_cross_entropy(student, teacher, temperature, kind["teacherTemperature"]) * temperature**2


def dkd(student: Tensor, teacher: Tensor, targets: Tensor, kind: dict) -> Tensor:
    """alpha TCKD + beta NCKD, each times T^2, mean over rows (Zhao et al., CVPR 2022). TCKD: divergence of target
    class against all others; NCKD: divergence among the others."""
    temperature = kind["temperature"]

    def parts(logits: Tensor) -> tuple:
        ordered = _first(logits / temperature, targets)
        others = ordered[:, 1:]
        binary = torch.stack([ordered[:, 0], others.logsumexp(dim=1)], dim=1)
        return F.log_softmax(binary, dim=1), F.log_softmax(others, dim=1)

    (binary, others), (teacher_binary, teacher_others) = parts(student), parts(teacher)
    target_class = F.kl_div(binary, teacher_binary, reduction="batchmean", log_target=True)
    other_classes = F.kl_div(others, teacher_others, reduction="batchmean", log_target=True)
    return (kind["alpha"] * target_class + kind["beta"] * other_classes) * temperature**2


def atkd(student: Tensor, teacher: Tensor, kind: dict) -> Tensor:
    """Divergence of rows that are standardised (biased variance, eps 1e-5), multiplied, and divided by T; times T^2."""
    standard = lambda z: kind["multiplier"] * F.layer_norm(z, z.shape[1:], eps=1e-5) / kind["temperature"]
    divergence = F.kl_div(
        F.log_softmax(standard(student), dim=1),
        F.log_softmax(standard(teacher), dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * kind["temperature"] ** 2


_DISTILLATIONS: Dict[str, Callable[[Outcome, Outcome, dict], Tensor]] = {
    "kd-logits": lambda student, teacher, kind: kd(student.logits, teacher.logits, kind),
    "kd-features": lambda student, teacher, kind: kd(student.features, teacher.features, kind),
    "mse-logits": lambda student, teacher, _: F.mse_loss(student.logits, teacher.logits),
    "mse-features": lambda student, teacher, _: F.mse_loss(student.features, teacher.features),
    "dkd": lambda student, teacher, kind: dkd(student.logits, teacher.logits, student.targets, kind),
    "atkd": lambda student, teacher, kind: atkd(student.logits, teacher.logits, kind),
}


def distillation(student: Outcome, larger: Sequence[Outcome], kind: dict) -> Optional[Tensor]:
    """What a width learns from the outcomes of all larger widths, the full one first; None if nothing."""
    if not larger or kind["kind"] == "none":
        return None
    teachers = larger if kind["teachers"] == "larger" else larger[:1]
    losses = [_DISTILLATIONS[kind["kind"]](student, teacher, kind) for teacher in teachers]
    return torch.stack(losses).mean()


def loss_weights(widths: Sequence[float], reweighting: str) -> List[float]:
    """lambda of each width, which are descending."""
    count, total = len(widths), sum(widths)
    ones = [1] * (count - 1)
    if reweighting == "sum-of-others":
        return [1 + sum(widths[1:]), *ones]
    if reweighting == "second-largest":
        return [1 + max(widths[1:], default=0), *ones]
    if reweighting == "width":
        return list(widths)
    if reweighting == "width-share":
        return [width / total for width in widths]
    if reweighting == "mean-one":
        return [count * width / total for width in widths]
    if reweighting == "cumulative":
        raw = [1 + sum(widths[index + 1 :]) for index in range(count)]
        return [count * weight / sum(raw) for weight in raw]
    assert reweighting == "none", reweighting
    return [1, *ones]
