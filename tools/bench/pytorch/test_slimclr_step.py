"""The fast step against the reference of tools/reference, in float64. Run: python3 -m unittest test_slimclr_step"""

import sys
import unittest
from pathlib import Path
from typing import Dict

import torch
from torch import Tensor, nn

from network import Network
from slimclr_step import SlimclrStep

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from methods import Moment  # noqa: E402
from slimclr_reference import width_label  # noqa: E402
from train_step import train_step  # noqa: E402

RATE, DECAY = 0.1, 0.01


def config(encoder: str, stem: str) -> dict:
    return {
        "encoder": {"name": encoder, "stem": stem},
        "widths": [1, 0.75, 0.5, 0.25],
        "batchSize": 4,
        "accumulation": 1,
        "method": {"kind": "moco-v2", "temperature": 0.2, "keyMomentum": 0.9, "dimension": 8, "queueSize": 12},
        "techniques": {
            "distillation": {
                "kind": "kd-logits",
                "weight": 0.4,
                "teachers": "full",
                "teacherTemperature": 4,
                "studentTemperature": 3,
            },
            "reweighting": {"kind": "sum-of-others"},
            "head": "slimmable",
            "weights": "overlapping",
        },
        "optimizer": {
            "kind": "sgd",
            "momentum": 0.9,
            "nesterov": False,
            "clipNorm": 0,
            "weightDecay": DECAY,
            "decay": ["weight", "gamma"],
        },
        "schedule": {"peak": RATE},
    }


def named(network: Network, label: str) -> Dict[str, Tensor]:
    """Parameters and running statistics of a network by their names in a manifest."""
    tensors = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            tensors[f"{path}.{label}.gamma"] = module.weight
            tensors[f"{path}.{label}.beta"] = module.bias
            tensors[f"{path}.{label}.running_mean"] = module.running_mean
            tensors[f"{path}.{label}.running_var"] = module.running_var
        else:
            for name, parameter in module.named_parameters(recurse=False):
                tensors[f"{path}.{name}"] = parameter
    return tensors


class Step(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)

    def compare(self, encoder: str, stem: str, size: int, channels_last: bool) -> None:
        case = config(encoder, stem)
        step = SlimclrStep(case, channels_last, compiled=False)
        query: Dict[str, Tensor] = {}
        for width, network in zip(case["widths"], [step.full, *step.narrow]):
            for name, tensor in named(network, width_label(width)).items():
                query.setdefault(name, tensor)  # what widths share is the full network's
        key = {f"key.{name}": tensor for name, tensor in named(step.key, "w1.00").items()}
        for name, tensor in {**query, **key}.items():
            if name.endswith("running_var"):
                continue
            with torch.no_grad():
                tensor.add_(torch.randn_like(tensor), alpha=0.1)
        views = [torch.randn(4, 3, size, size).contiguous(memory_format=step.memory_format) for _ in range(2)]
        inputs = {"view1": views[0], "view2": views[1], "queue": step.queue, **query, **key}
        inputs = {name: tensor.detach().clone() for name, tensor in inputs.items()}

        losses = step.run(*views)
        expected = train_step(case, inputs, Moment(RATE, DECAY))

        for width, loss in zip(case["widths"], losses):
            self.assertAlmostEqual(loss, expected[f"{width_label(width)}.loss"].item(), places=10)
        for name, tensor in {**query, **key}.items():
            torch.testing.assert_close(tensor.detach(), expected[f"new.{name}"], msg=lambda text: f"{name}: {text}")
            if f"grad.{name}" in expected:
                torch.testing.assert_close(tensor.grad, expected[f"grad.{name}"], msg=lambda text: f"{name}: {text}")
        torch.testing.assert_close(step.queue[:4], expected["keys"])
        torch.testing.assert_close(step.queue[4:], inputs["queue"][4:])

    def test_basic_blocks_nchw(self) -> None:
        self.compare("resnet20", "cifar", 16, channels_last=False)

    def test_basic_blocks_channels_last(self) -> None:
        self.compare("resnet18", "cifar", 8, channels_last=True)

    def test_bottleneck_blocks_with_max_pool(self) -> None:
        self.compare("resnet50", "imagenet", 64, channels_last=True)

    def test_narrow_networks_follow_the_update_of_the_full_one(self) -> None:
        step = SlimclrStep(config("resnet20", "cifar"), channels_last=True, compiled=False)
        view = torch.randn(4, 3, 16, 16).contiguous(memory_format=step.memory_format)
        step.run(view, view)
        for narrow in step.narrow:
            weight = narrow.encoder.layer2[0].conv1.weight
            full = step.full.encoder.layer2[0].conv1.weight
            self.assertTrue(torch.equal(weight, full[: len(weight), : weight.shape[1]]))


if __name__ == "__main__":
    unittest.main()
