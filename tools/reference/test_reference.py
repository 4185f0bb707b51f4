"""The reference checked against arithmetic written out by hand. Run: python3 -m unittest discover tools/reference -p 'test_*.py'"""

import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import margins
import safetensors_io
from heads import MocoV2Head, Network, build_network
from losses import batch_logits, info_nce, nt_xent_logits
from methods import METHODS, Moment
from slimclr_reference import (
    BasicBlock,
    ResNet,
    block,
    build_encoder,
    parameters,
    statistics,
    width_label,
    widths_of,
)
from train_step import train_step

WIDTHS = [1.0, 0.75, 0.5, 0.25]
LABELS = ["w1.00", "w0.75", "w0.50", "w0.25"]
METHOD_CONFIGS = {
    "moco-v2": {"kind": "moco-v2", "temperature": 0.2, "keyMomentum": 0.9, "dimension": 8},
    "moco-v3": {"kind": "moco-v3", "temperature": 0.8, "keyMomentum": 0.9, "hiddenDimension": 16, "dimension": 8},
    "simclr": {"kind": "simclr", "temperature": 0.1, "hiddenDimension": 16, "dimension": 8},
    "supervised": {"kind": "supervised", "classes": 5},
    "seed": {"kind": "seed", "temperature": 0.2, "teacherTemperature": 0.01, "dimension": 8},
}
KD = {"kind": "kd-logits", "weight": 0.5, "teachers": "full", "teacherTemperature": 5, "studentTemperature": 5}


def config_of(method: str = "moco-v2", accumulation: int = 1, distillation: dict = KD, **techniques: str) -> dict:
    return {
        "widths": WIDTHS,
        "encoder": {"name": "resnet20", "stem": "cifar"},
        "method": METHOD_CONFIGS[method],
        "techniques": {
            "distillation": distillation,
            "reweighting": {"kind": "sum-of-others"},
            "head": "slimmable",
            "weights": "overlapping",
            **techniques,
        },
        "accumulation": accumulation,
        "optimizer": {
            "kind": "sgd",
            "momentum": 0.9,
            "nesterov": False,
            "clipNorm": 0,
            "decay": ["weight", "gamma"],
        },
    }


CONFIG = config_of()
MOMENT = Moment(learning_rate=0.1, weight_decay=0.01)


def step_inputs(config: dict = CONFIG) -> dict:
    torch.manual_seed(0)
    widths = widths_of(config)
    query = build_network(config, widths).double()
    key = build_network(config, widths[:1], key=True).double()
    tensors = {**parameters(query), **statistics(query)}
    tensors.update({f"key.{name}": tensor for name, tensor in {**parameters(key), **statistics(key)}.items()})
    tensors.update({f"velocity.{name}": torch.randn_like(tensor) for name, tensor in parameters(query).items()})
    tensors["view1"] = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    tensors["view2"] = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    tensors["queue"] = torch.nn.functional.normalize(torch.randn(12, 8, dtype=torch.float64), dim=1)
    tensors["teacher"] = torch.randn(4, 8, dtype=torch.float64)
    tensors["labels"] = torch.tensor([2, 0, 4, 2])
    return {name: tensor.detach() for name, tensor in tensors.items()}


def trained_network(config: dict, inputs: dict) -> Network:
    network = build_network(config, widths_of(config)).double()
    with torch.no_grad():
        for name, tensor in parameters(network).items():
            tensor.copy_(inputs[name])
    return network


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
        model = build_network(CONFIG, WIDTHS).double()
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
        model = Network(encoder, {"head": MocoV2Head(encoder.out_channels, 4)}).double().train()
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
        self.out = train_step(CONFIG, self.inputs, MOMENT)

    def test_key_encoder_follows_before_it_embeds(self) -> None:
        for name in ("encoder.conv1.weight", "encoder.bn1.w1.00.beta", "head.fc1.bias"):
            expected = 0.9 * self.inputs[f"key.{name}"] + 0.1 * self.inputs[name]
            torch.testing.assert_close(self.out[f"new.key.{name}"], expected)
        key = build_network(CONFIG, [1.0]).double()
        with torch.no_grad():
            for name, tensor in parameters(key).items():
                tensor.copy_(self.out[f"new.key.{name}"])
        torch.testing.assert_close(self.out["keys"], key(self.inputs["view2"], 1.0).detach())

    def test_logits_hold_the_positive_first_and_one_set_of_keys_serves_every_width(self) -> None:
        query = build_network(CONFIG, WIDTHS).double()
        with torch.no_grad():
            for name, tensor in parameters(query).items():
                tensor.copy_(self.inputs[name])
            for width, label in zip(WIDTHS, LABELS):
                features = query(self.inputs["view1"], width)
                for n in range(4):
                    candidates = [self.out["keys"][n], *self.inputs["queue"]]
                    expected = torch.stack([features[n].dot(candidate) for candidate in candidates])
                    torch.testing.assert_close(self.out[f"{label}.logits"][n], expected)

    def test_keys_replace_the_oldest_entries_of_the_queue(self) -> None:
        out = train_step(CONFIG, self.inputs, Moment(0.1, 0.01, step=4))
        # Four keys a step and twelve entries: the second four are the oldest.
        torch.testing.assert_close(out["new.queue"][4:8], out["keys"])
        for rows in (slice(0, 4), slice(8, 12)):
            torch.testing.assert_close(out["new.queue"][rows], self.inputs["queue"][rows])

    def test_full_width_loss_is_info_nce_and_the_others_mix_in_distillation(self) -> None:
        out = self.out
        self.assertEqual(out["w1.00.loss"], info_nce(out["w1.00.logits"], 0.2))
        self.assertNotIn("w1.00.distillation", out)
        self.assertEqual(out["w0.25.info_nce"], info_nce(out["w0.25.logits"], 0.2))
        torch.testing.assert_close(out["w0.25.loss"], 0.5 * out["w0.25.info_nce"] + 0.5 * out["w0.25.distillation"])
        teacher, student = (out[f"{label}.logits"] / 5 for label in ("w1.00", "w0.25"))
        expected = -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean() * 25
        torch.testing.assert_close(out["w0.25.distillation"], expected)

    def test_gradients_of_all_widths_add_up(self) -> None:
        name = "encoder.layer2.0.conv1.weight"  # [32, 16, 3, 3]
        total = sum(self.out[f"{label}.grad.{name}"] for label in LABELS)
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
        out = train_step(CONFIG, {**self.inputs, "keys": keys}, MOMENT)
        torch.testing.assert_close(out["keys"], self.out["keys"])
        self.assertNotEqual(out["w1.00.loss"], self.out["w1.00.loss"])


    def test_slow_start_trains_the_full_width_with_weight_1_and_the_rest_rests(self) -> None:
        out = train_step(CONFIG, self.inputs, Moment(0.1, 0.01, slow_start=True))
        self.assertNotIn("w0.75.loss", out)
        name = "encoder.bn1.w0.75.gamma"
        torch.testing.assert_close(out[f"new.{name}"], self.inputs[name])
        torch.testing.assert_close(out[f"new.velocity.{name}"], self.inputs[f"velocity.{name}"])
        name = "encoder.bn1.w1.00.gamma"
        torch.testing.assert_close(2.5 * out[f"grad.{name}"], self.out[f"grad.{name}"])


class Methods(unittest.TestCase):
    """Every method from its embeddings on; losses themselves are in test_losses.py."""

    def test_moco_v3_sums_both_directions_with_factor_2t(self) -> None:
        config = config_of("moco-v3", distillation={"kind": "none"})
        inputs = step_inputs(config)
        moment = Moment(0.1, 0.01, step=1, total_steps=4)
        out = train_step(config, inputs, moment)

        name = "projector.fc1.weight"
        momentum = 1 - (1 + math.cos(math.pi / 4)) / 2 * 0.1
        expected = momentum * inputs[f"key.{name}"] + (1 - momentum) * inputs[name]
        torch.testing.assert_close(out[f"new.key.{name}"], expected)
        self.assertFalse(any(name.startswith("new.key.predictor") for name in out))

        key = build_network(config, [1.0], key=True).double()
        with torch.no_grad():
            for name, tensor in parameters(key).items():
                tensor.copy_(out[f"new.key.{name}"])
            network = trained_network(config, inputs)
            for width, label in zip(WIDTHS, LABELS):
                total = 0
                for view, other in (("view1", "view2"), ("view2", "view1")):
                    logits = batch_logits(network(inputs[view], width), key(inputs[other], 1.0))
                    total += 2 * 0.8 * info_nce(logits, 0.8)
                torch.testing.assert_close(out[f"{label}.loss"], total)

    def test_moco_v3_distils_logits_behind_the_temperature_in_both_directions(self) -> None:
        config = config_of("moco-v3", distillation={**KD, "teacherTemperature": 1, "studentTemperature": 1})
        out = train_step(config, step_inputs(config), MOMENT)
        total = 0
        for view in (0, 1):
            teacher, student = (out[f"{label}.logits"].chunk(2)[view] for label in ("w1.00", "w0.50"))
            total -= (teacher.softmax(1) * student.log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(out["w0.50.distillation"], total)
        cosines = out["w0.50.logits"] * 0.8
        self.assertLessEqual(cosines.abs().max().item(), 1)

    def test_statistics_of_moco_v3_move_twice_and_those_of_simclr_once(self) -> None:
        name = "encoder.bn1.w0.50.running_mean"
        for method in ("moco-v3", "simclr"):
            config = config_of(method)
            inputs = step_inputs(config)
            out = train_step(config, inputs, MOMENT)
            means = [
                torch.nn.functional.conv2d(inputs[view], inputs["encoder.conv1.weight"][:8], padding=1).mean((0, 2, 3))
                for view in ("view1", "view2")
            ]
            one_by_one = 0.9 * 0.1 * means[0] + 0.1 * means[1]
            together = 0.1 * (means[0] + means[1]) / 2
            torch.testing.assert_close(out[f"new.{name}"], one_by_one if method == "moco-v3" else together)

    def test_simclr_sees_both_views_as_one_batch(self) -> None:
        config = config_of("simclr")
        inputs = step_inputs(config)
        out = train_step(config, inputs, MOMENT)
        network = trained_network(config, inputs)
        for width, label in zip(WIDTHS, LABELS):
            features = network(torch.cat([inputs["view1"], inputs["view2"]]), width)
            torch.testing.assert_close(out[f"{label}.nt_xent"], info_nce(nt_xent_logits(features), 0.1).detach())

    def test_supervised_is_cross_entropy_of_a_linear_classifier(self) -> None:
        config = config_of("supervised")
        inputs = step_inputs(config)
        out = train_step(config, inputs, MOMENT)
        network = trained_network(config, inputs)
        features = network.encoder(inputs["view1"], 0.5)
        logits = features @ inputs["head.fc.weight"][:, :32].T + inputs["head.fc.bias"]
        total = 0
        for row, label in zip(logits.tolist(), [2, 0, 4, 2]):
            total += math.log(sum(math.exp(z) for z in row)) - row[label]
        self.assertAlmostEqual(out["w0.50.cross_entropy"].item(), total / 4, places=12)

    def test_seed_learns_the_teachers_similarities(self) -> None:
        config = config_of("seed")
        inputs = step_inputs(config)
        out = train_step(config, inputs, MOMENT)
        features = trained_network(config, inputs)(inputs["view1"], 0.25).tolist()
        total = 0.0
        for n in range(4):
            teacher = (inputs["teacher"][n] / inputs["teacher"][n].norm()).tolist()
            rows = [teacher, *inputs["queue"].tolist()]
            of_teacher = [sum(a * b for a, b in zip(teacher, row)) / 0.01 for row in rows]
            of_student = [sum(a * b for a, b in zip(features[n], row)) / 0.2 for row in rows]
            for j in range(13):
                p = math.exp(of_teacher[j]) / sum(math.exp(z) for z in of_teacher)
                total -= p * math.log(math.exp(of_student[j]) / sum(math.exp(z) for z in of_student))
        self.assertAlmostEqual(out["w0.25.seed"].item(), total / 4, places=12)

    def test_micro_batches_have_their_own_statistics_and_one_loss(self) -> None:
        for method in METHODS:
            config = config_of(method, accumulation=2)
            inputs = step_inputs(config)
            out = train_step(config, inputs, MOMENT)
            network = trained_network(config, inputs)
            for view in METHODS[method].views:
                halves = inputs[view].chunk(2)
                if method != "simclr":
                    embedded = [network(half, 0.75) for half in halves]
                else:
                    both = [torch.cat(views) for views in zip(inputs["view1"].chunk(2), inputs["view2"].chunk(2))]
                    embedded = [network(half, 0.75).chunk(2)[int(view[-1]) - 1] for half in both]
                name = "w0.75.logits" if method == "supervised" else "w0.75.embedding"
                rows = out[name].chunk(len(METHODS[method].views))[int(view[-1]) - 1]
                torch.testing.assert_close(rows, torch.cat(embedded).detach())
            if method == "moco-v3":
                # Two directions of four queries, each against the keys of all micro-batches.
                self.assertEqual(out["w0.75.logits"].shape, (8, 4))

    def test_gradients_of_every_method_equal_finite_differences_along_a_line(self) -> None:
        for method in METHODS:
            for head in ("slimmable", "switchable"):
                config = config_of(method, accumulation=2, head=head)
                inputs = step_inputs(config)
                inputs.update(margins.place_margins(config, inputs))
                names = list(parameters(build_network(config, WIDTHS)))
                line = {name: torch.randn_like(inputs[name]) * inputs[name].abs().mean() for name in names}
                out = train_step(config, inputs, MOMENT)
                # Keys have no gradient. Nobody teaches the full width, whose weight is 2.5.
                keys = {name: out[name] for name in ("keys", "keys1", "keys2") if name in out}
                along = sum((out[f"w1.00.grad.{n}"] * line[n]).sum() for n in names if f"w1.00.grad.{n}" in out)
                losses = []
                for sign in (1, -1):
                    moved = {name: inputs[name] + sign * 1e-8 * line[name] for name in names}
                    losses.append(train_step(config, {**inputs, **moved, **keys}, MOMENT)["w1.00.loss"])
                difference = 2.5 * (losses[0] - losses[1]) / 2e-8
                self.assertAlmostEqual((along / difference).item(), 1, places=5, msg=f"{method} {head}")


class Techniques(unittest.TestCase):
    def test_switchable_heads_have_the_size_of_their_width(self) -> None:
        network = build_network(config_of("moco-v3", head="switchable"), WIDTHS)
        shapes = {name: tuple(tensor.shape) for name, tensor in parameters(network).items()}
        self.assertEqual(shapes["projector.w0.25.fc1.weight"], (4, 16))
        self.assertEqual(shapes["projector.w0.25.bn1.w0.25.gamma"], (4,))
        self.assertEqual(shapes["projector.w0.25.fc2.weight"], (8, 4))
        self.assertEqual(shapes["predictor.w0.75.fc1.weight"], (12, 8))
        self.assertNotIn("projector.w0.25.bn2.w0.25.gamma", shapes)
        self.assertIn("projector.w0.25.bn2.w0.25.running_mean", statistics(network))

    def test_non_overlapping_widths_share_no_weight_but_the_full_one_has_all(self) -> None:
        config = {**config_of(weights="non-overlapping"), "widths": [1.0, 0.5, 0.25]}
        widths = widths_of(config)
        self.assertEqual([block(16, width) for width in widths], [slice(0, 16), slice(4, 12), slice(0, 4)])
        out = train_step(config, step_inputs(config), MOMENT)
        used = {
            label: out[f"{label}.grad.encoder.layer1.0.conv1.weight"].abs().sum((2, 3)) > 0
            for label in ("w0.50", "w0.25")
        }
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[4:12, 4:12] = True
        self.assertTrue(torch.equal(used["w0.50"], expected))
        self.assertFalse((used["w0.50"] & used["w0.25"]).any())

    def test_larger_widths_teach_together(self) -> None:
        config = config_of(distillation={"kind": "mse-features", "weight": 0.5, "teachers": "larger"})
        out = train_step(config, step_inputs(config), MOMENT)
        student = out["w0.50.embedding"]
        each = [((student - out[f"{label}.embedding"]) ** 2).mean() for label in ("w1.00", "w0.75")]
        torch.testing.assert_close(out["w0.50.distillation"], sum(each) / 2)


class Margins(unittest.TestCase):
    def test_no_relu_input_of_any_width_stays_close_to_0(self) -> None:
        for method in METHODS:
            config = config_of(method, accumulation=2)
            inputs = step_inputs(config)
            closest = closest_relu_inputs(config, inputs)
            moved = margins.place_margins(config, inputs)
            self.assertLessEqual({name.rpartition(".")[2] for name in moved}, {"beta", "bias"})
            for name, tensor in moved.items():
                self.assertLessEqual((tensor - inputs[name]).abs().max().item(), margins.REACH + 1e-9)
            after = closest_relu_inputs(config, {**inputs, **moved})
            self.assertLess(min(closest), 1e-4, method)
            self.assertGreater(min(after), 5e-4, method)

    def test_max_pool_windows_get_a_clear_winner_or_ties(self) -> None:
        torch.manual_seed(4)
        encoder = build_encoder("resnet50", "imagenet", [1.0]).double()
        images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
        images[1, :, 8:24, 8:24] = 0.5  # a flat patch: whole windows of equal elements
        with torch.no_grad():
            margins.separate_maxima(encoder, images)
            x = encoder.conv1(images, 1.0)
            noise = x.std() * 1e-6 * torch.rand_like(x)
            largest = torch.nn.functional.max_pool2d(x, 3, 2, 1)
            _, winners = torch.nn.functional.max_pool2d(x + noise, 3, 2, 1, return_indices=True)
            won = x.flatten(2).gather(2, winners.flatten(2)).view_as(largest)
        # Noise lets none win but one of equal elements, and the flat patch stays flat.
        self.assertLess(((largest - won).abs() / x.std((0, 2, 3))[:, None, None]).max().item(), margins.TIE)
        self.assertGreater((images[1, 0, 8:24, 8:24] == 0.5).double().mean().item(), 0.9)


def closest_relu_inputs(config: dict, tensors: dict) -> list:
    """The smallest distance from 0 of any input, for each ReLU at each width in each pass."""
    method = METHODS[config["method"]["kind"]](config, tensors)
    closest = []
    for module in method.network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(lambda _module, inputs: closest.append(inputs[0].abs().min().item()))
    with torch.no_grad():
        for width in method.widths:
            method.embed(width)
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
