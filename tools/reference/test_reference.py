"""The reference checked against arithmetic written out by hand. Run: python3 -m unittest discover tools/reference -p 'test_*.py'"""

import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import margins
import moco_v2
import safetensors_io
from slimclr_reference import BasicBlock, Embedder, MocoV2Head, ResNet, build_encoder, parameters, statistics

WIDTHS = [1.0, 0.75, 0.5, 0.25]
CONFIG = {
    "encoder": {"name": "resnet20", "stem": "cifar"},
    "method": {
        "temperature": 0.2,
        "keyMomentum": 0.9,
        "dimension": 8,
        "distillation": {"kind": "kd", "weight": 0.5, "teacherTemperature": 5, "studentTemperature": 5},
        "reweighting": {"kind": "sum-of-others"},
    },
    "optimizer": {"momentum": 0.9, "decay": ["weight", "gamma"]},
}


def step_inputs() -> dict:
    torch.manual_seed(0)
    query = moco_v2.build_model(CONFIG, WIDTHS, torch.float64)
    key = moco_v2.build_model(CONFIG, WIDTHS[:1], torch.float64)
    tensors = {**parameters(query), **statistics(query)}
    tensors.update({f"key.{name}": tensor for name, tensor in {**parameters(key), **statistics(key)}.items()})
    tensors.update({f"velocity.{name}": torch.randn_like(tensor) for name, tensor in parameters(query).items()})
    tensors["view1"] = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    tensors["view2"] = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    tensors["queue"] = torch.nn.functional.normalize(torch.randn(12, 8, dtype=torch.float64), dim=1)
    return {name: tensor.detach() for name, tensor in tensors.items()}


class Losses(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(1)
        self.student = torch.randn(3, 5, dtype=torch.float64)
        self.teacher = torch.randn(3, 5, dtype=torch.float64)

    def test_info_nce_is_the_mean_over_samples_of_the_log_ratio(self) -> None:
        total = 0.0
        for row in self.student.tolist():
            total -= math.log(math.exp(row[0] / 0.2) / sum(math.exp(z / 0.2) for z in row))
        self.assertAlmostEqual(moco_v2.info_nce(self.student, 0.2).item(), total / 3, places=12)

    def test_distillation_is_the_soft_cross_entropy_times_the_students_temperature_squared(self) -> None:
        total = 0.0
        for student, teacher in zip(self.student.tolist(), self.teacher.tolist()):
            teacher_sum = sum(math.exp(z / 4) for z in teacher)
            student_sum = sum(math.exp(z / 5) for z in student)
            for z_student, z_teacher in zip(student, teacher):
                total -= math.exp(z_teacher / 4) / teacher_sum * math.log(math.exp(z_student / 5) / student_sum)
        loss = moco_v2.distillation(self.student, self.teacher, student_temperature=5, teacher_temperature=4)
        self.assertAlmostEqual(loss.item(), total / 3 * 25, places=12)

    def test_loss_weights_are_2_5_1_1_1(self) -> None:
        self.assertEqual(moco_v2.loss_weights(WIDTHS, "sum-of-others"), [2.5, 1, 1, 1])
        self.assertEqual(moco_v2.loss_weights(WIDTHS, "none"), [1, 1, 1, 1])


class Encoders(unittest.TestCase):
    def test_resnet50_has_the_published_sizes(self) -> None:
        encoder = build_encoder("resnet50", "imagenet", WIDTHS)
        for width, published in zip(WIDTHS, [25.5, 14.7, 6.9, 2.0]):
            features = int(encoder.out_channels * width)
            count = features * 1000 + 1000
            for module in encoder.modules():
                if isinstance(module, torch.nn.Conv2d):
                    rows, columns = int(module.out_channels * width), int(module.in_channels * width)
                    columns = columns if module.slice_input else module.in_channels
                    count += rows * columns * math.prod(module.kernel_size)
            label = f"w{width:.2f}."
            count += sum(tensor.numel() for name, tensor in parameters(encoder).items() if label in name)
            # The paper gives one digit, cut off or rounded: 25,557,032 is its 25.5M, 1,993,976 its 2.0M.
            self.assertAlmostEqual(count / 1e6, published, delta=0.1)

    def test_a_width_reads_its_leading_block_only(self) -> None:
        torch.manual_seed(2)
        model = moco_v2.build_model(CONFIG, WIDTHS, torch.float64)
        images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        before = model(images, 0.5)
        with torch.no_grad():
            for name, tensor in parameters(model).items():
                if name.endswith(".weight"):
                    rows = len(tensor) if name == "head.fc2.weight" else len(tensor) // 2
                    columns = 3 if name == "encoder.conv1.weight" else tensor.shape[1] // 2
                    rest = torch.ones_like(tensor, dtype=torch.bool)
                    rest[:rows, :columns] = False
                    tensor[rest] = math.nan
        self.assertTrue(torch.equal(model(images, 0.5), before))
        self.assertTrue(model(images, 0.75).isnan().any())

    def test_gradients_equal_finite_differences(self) -> None:
        torch.manual_seed(3)
        encoder = ResNet(BasicBlock, [1, 1], 4, "cifar", [1.0, 0.5])
        model = Embedder(encoder, MocoV2Head(encoder.out_channels, 4)).double().train()
        images = torch.randn(3, 3, 6, 6, dtype=torch.float64)
        weights = torch.randn(3, 4, dtype=torch.float64)
        trained = list(parameters(model).values())
        for width in (1.0, 0.5):

            def loss(*_trained: torch.Tensor, width: float = width) -> torch.Tensor:
                return (model(images, width) * weights).sum()

            # Running statistics move with every evaluation but do not enter the loss in training mode.
            self.assertTrue(torch.autograd.gradcheck(loss, trained, eps=1e-6, atol=1e-6, nondet_tol=0))


class Step(unittest.TestCase):
    def setUp(self) -> None:
        self.inputs = step_inputs()
        self.out = moco_v2.train_step(CONFIG, WIDTHS, self.inputs, learning_rate=0.1, weight_decay=0.01)

    def test_key_encoder_follows_before_it_embeds(self) -> None:
        for name in ("encoder.conv1.weight", "encoder.bn1.w1.00.beta", "head.fc1.bias"):
            expected = 0.9 * self.inputs[f"key.{name}"] + 0.1 * self.inputs[name]
            torch.testing.assert_close(self.out[f"new.key.{name}"], expected)
        key = moco_v2.build_model(CONFIG, [1.0], torch.float64)
        with torch.no_grad():
            for name, tensor in parameters(key).items():
                tensor.copy_(self.out[f"new.key.{name}"])
        torch.testing.assert_close(self.out["keys"], key(self.inputs["view2"], 1.0).detach())

    def test_logits_hold_the_positive_first_and_one_set_of_keys_serves_every_width(self) -> None:
        query = moco_v2.build_model(CONFIG, WIDTHS, torch.float64)
        with torch.no_grad():
            for name, tensor in parameters(query).items():
                tensor.copy_(self.inputs[name])
            for width, label in zip(WIDTHS, ("w1.00", "w0.75", "w0.50", "w0.25")):
                features = query(self.inputs["view1"], width)
                for n in range(4):
                    candidates = [self.out["keys"][n], *self.inputs["queue"]]
                    expected = torch.stack([features[n].dot(candidate) for candidate in candidates])
                    torch.testing.assert_close(self.out[f"{label}.logits"][n], expected)

    def test_full_width_loss_is_info_nce_and_the_others_mix_in_distillation(self) -> None:
        out = self.out
        self.assertEqual(out["w1.00.loss"], out["w1.00.info_nce"])
        self.assertNotIn("w1.00.distillation", out)
        torch.testing.assert_close(out["w0.25.loss"], 0.5 * out["w0.25.info_nce"] + 0.5 * out["w0.25.distillation"])
        expected = moco_v2.distillation(out["w0.25.logits"], out["w1.00.logits"], 5, 5)
        torch.testing.assert_close(out["w0.25.distillation"], expected)

    def test_gradients_of_all_widths_add_up(self) -> None:
        name = "encoder.layer2.0.conv1.weight"  # [32, 16, 3, 3]
        total = sum(self.out[f"{label}.grad.{name}"] for label in ("w1.00", "w0.75", "w0.50", "w0.25"))
        torch.testing.assert_close(self.out[f"grad.{name}"], total)
        self.assertEqual(torch.count_nonzero(self.out[f"w0.25.grad.{name}"][8:]), 0)
        self.assertEqual(torch.count_nonzero(self.out[f"w0.25.grad.{name}"][:, 4:]), 0)
        self.assertNotIn("w0.25.grad.encoder.bn1.w1.00.gamma", self.out)

    def test_update_is_sgd_with_momentum_and_decay_of_weights_and_gammas(self) -> None:
        for name, decay in {"encoder.conv1.weight": 0.01, "encoder.bn1.w0.50.gamma": 0.01, "head.fc2.bias": 0}.items():
            parameter = self.inputs[name]
            velocity = 0.9 * self.inputs[f"velocity.{name}"] + self.out[f"grad.{name}"] + decay * parameter
            torch.testing.assert_close(self.out[f"new.velocity.{name}"], velocity)
            torch.testing.assert_close(self.out[f"new.{name}"], parameter - 0.1 * velocity)

    def test_running_statistics_use_momentum_0_1_and_the_unbiased_variance(self) -> None:
        conv = torch.nn.functional.conv2d(self.inputs["view1"], self.inputs["encoder.conv1.weight"][:8], padding=1)
        per_channel = conv.transpose(0, 1).flatten(1)
        name = "encoder.bn1.w0.50.running"
        torch.testing.assert_close(self.out[f"new.{name}_mean"], 0.1 * per_channel.mean(1))
        torch.testing.assert_close(self.out[f"new.{name}_var"], 0.9 + 0.1 * per_channel.var(1, unbiased=True))

    def test_given_keys_replace_the_key_encoders(self) -> None:
        keys = torch.nn.functional.normalize(torch.randn(4, 8, dtype=torch.float64), dim=1)
        out = moco_v2.train_step(CONFIG, WIDTHS, {**self.inputs, "keys": keys}, 0.1, 0.01)
        torch.testing.assert_close(out["keys"], self.out["keys"])
        self.assertNotEqual(out["w1.00.loss"], self.out["w1.00.loss"])


class Margins(unittest.TestCase):
    def test_no_relu_input_of_any_width_stays_close_to_0(self) -> None:
        inputs = step_inputs()
        closest = closest_relu_inputs(inputs)
        moved = margins.place_margins(CONFIG, WIDTHS, inputs)
        self.assertEqual({name.rpartition(".")[2] for name in moved}, {"beta", "bias"})
        for name, tensor in moved.items():
            self.assertLessEqual((tensor - inputs[name]).abs().max().item(), margins.REACH + 1e-9)
        after = closest_relu_inputs({**inputs, **moved})
        self.assertLess(min(closest), 1e-4)
        self.assertGreater(min(after), 1e-3)

    def test_max_pool_windows_get_a_clear_winner(self) -> None:
        torch.manual_seed(4)
        encoder = build_encoder("resnet50", "imagenet", [1.0]).double()
        images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
        images[1, :, 8:24, 8:24] = 0.5  # a flat patch: whole windows of equal elements
        with torch.no_grad():
            margins.separate_maxima(encoder, images)
            x = encoder.conv1(images, 1.0)
            noise = x.std() * 1e-6 * torch.rand_like(x)
            winners = [torch.nn.functional.max_pool2d(y, 3, 2, 1, return_indices=True)[1] for y in (x, x + noise)]
        self.assertTrue(torch.equal(*winners))


def closest_relu_inputs(tensors: dict) -> list:
    """The smallest distance from 0 of any input, for each ReLU at each width."""
    query = moco_v2.build_model(CONFIG, WIDTHS, torch.float64)
    closest = []
    for module in query.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(lambda _module, inputs: closest.append(inputs[0].abs().min().item()))
    with torch.no_grad():
        for name, tensor in parameters(query).items():
            tensor.copy_(tensors[name])
        for width in WIDTHS:
            query(tensors["view1"], width)
    return closest


class SafetensorsIo(unittest.TestCase):
    def test_tensors_survive_a_round_trip(self) -> None:
        tensors = {
            "scalar": np.float32(3).reshape(()),
            "bits": np.arange(5, dtype=np.uint8),
            "matrix": np.arange(6, dtype=np.float64).reshape(2, 3).T,
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.safetensors"
            safetensors_io.write(path, tensors)
            read = safetensors_io.read(path)
        self.assertEqual(list(read), list(tensors))
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(read[name], tensor)
            self.assertEqual(read[name].dtype, tensor.dtype)


if __name__ == "__main__":
    unittest.main()
