"""Losses, distillation, re-weighting and optimisers against loops written out by hand.
Run: python3 -m unittest discover tools/reference -p 'test_*.py'"""

import math
import unittest
from typing import List

import torch

import losses
from losses import Outcome
from optimizers import update

Rows = List[List[float]]


def cross_entropy(row: List[float], target: int) -> float:
    return math.log(sum(math.exp(z) for z in row)) - row[target]


def softmax(row: List[float]) -> List[float]:
    total = sum(math.exp(z) for z in row)
    return [math.exp(z) / total for z in row]


def divergence(teacher: List[float], student: List[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(teacher, student))


def dot(a: List[float], b: List[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


class Contrastive(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(1)
        self.features = torch.nn.functional.normalize(torch.randn(6, 4, dtype=torch.float64), dim=1)
        self.keys = torch.nn.functional.normalize(torch.randn(6, 4, dtype=torch.float64), dim=1)
        self.queue = torch.nn.functional.normalize(torch.randn(5, 4, dtype=torch.float64), dim=1)

    def test_moco_v2_contrasts_with_the_own_key_and_the_queue(self) -> None:
        total = 0.0
        for n, feature in enumerate(self.features.tolist()):
            candidates = [self.keys[n].tolist(), *self.queue.tolist()]
            denominator = 0.0
            for candidate in candidates:
                denominator += math.exp(dot(feature, candidate) / 0.2)
            total -= math.log(math.exp(dot(feature, candidates[0]) / 0.2) / denominator)
        logits = losses.contrastive_logits(self.features, self.keys, self.queue)
        self.assertAlmostEqual(losses.info_nce(logits, 0.2).item(), total / 6, places=12)

    def test_moco_v3_contrasts_with_the_keys_of_the_batch(self) -> None:
        total = 0.0
        for n, feature in enumerate(self.features.tolist()):
            denominator = 0.0
            for key in self.keys.tolist():
                denominator += math.exp(dot(feature, key) / 0.7)
            total -= math.log(math.exp(dot(feature, self.keys[n].tolist()) / 0.7) / denominator)
        logits = losses.batch_logits(self.features, self.keys)
        self.assertEqual(logits.shape, (6, 6))
        self.assertAlmostEqual(losses.info_nce(logits, 0.7).item(), total / 6, places=12)

    def test_nt_xent_contrasts_every_view_with_all_others(self) -> None:
        rows = self.features.tolist()
        total = 0.0
        for i in range(6):
            partner = i + 3 if i < 3 else i - 3
            denominator = 0.0
            for k in range(6):
                if k != i:
                    denominator += math.exp(dot(rows[i], rows[k]) / 0.1)
            total -= math.log(math.exp(dot(rows[i], rows[partner]) / 0.1) / denominator)
        logits = losses.nt_xent_logits(self.features)
        self.assertEqual(logits.shape, (6, 5))
        self.assertAlmostEqual(losses.info_nce(logits, 0.1).item(), total / 6, places=12)


class Distillation(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(2)
        self.outcomes = [
            Outcome(
                torch.zeros(()),
                torch.randn(3, 5, dtype=torch.float64),
                torch.tensor([0, 3, 4]),
                torch.randn(3, 4, dtype=torch.float64),
            )
            for _ in range(3)
        ]

    def distilled(self, **kind: object) -> float:
        """Of the third outcome, taught by the first."""
        return losses.distillation(self.outcomes[2], self.outcomes[:2], {"teachers": "full", **kind}).item()

    def rows(self, part: str) -> list:
        student, teacher = getattr(self.outcomes[2], part), getattr(self.outcomes[0], part)
        return list(zip(student.tolist(), teacher.tolist()))

    def test_kd_is_the_soft_cross_entropy_times_the_students_temperature_squared(self) -> None:
        for part in ("logits", "features"):
            total = 0.0
            for student, teacher in self.rows(part):
                probabilities = softmax([z / 4 for z in teacher])
                for j, probability in enumerate(probabilities):
                    total += probability * cross_entropy([z / 5 for z in student], j)
            loss = self.distilled(kind=f"kd-{part}", teacherTemperature=4, studentTemperature=5)
            self.assertAlmostEqual(loss, total / 3 * 25, places=12)

    def test_mse_is_the_mean_over_rows_and_columns(self) -> None:
        for part, columns in (("logits", 5), ("features", 4)):
            total = 0.0
            for student, teacher in self.rows(part):
                for a, b in zip(student, teacher):
                    total += (a - b) ** 2
            self.assertAlmostEqual(self.distilled(kind=f"mse-{part}"), total / (3 * columns), places=12)

    def test_dkd_takes_target_class_and_other_classes_apart(self) -> None:
        target_class = other_classes = 0.0
        for (student, teacher), target in zip(self.rows("logits"), (0, 3, 4)):
            p, q = softmax([z / 3 for z in teacher]), softmax([z / 3 for z in student])
            target_class += divergence([p[target], 1 - p[target]], [q[target], 1 - q[target]])
            rest = [j for j in range(5) if j != target]
            other_classes += divergence(
                [p[j] / (1 - p[target]) for j in rest], [q[j] / (1 - q[target]) for j in rest]
            )
        loss = self.distilled(kind="dkd", alpha=0.9, beta=0.4, temperature=3)
        self.assertAlmostEqual(loss, (0.9 * target_class + 0.4 * other_classes) / 3 * 9, places=12)

    def test_dkd_with_alpha_1_and_beta_the_teachers_other_mass_is_the_whole_divergence(self) -> None:
        (student, teacher), target = self.rows("logits")[1], 3
        outcomes = [
            Outcome(torch.zeros(()), torch.tensor([row], dtype=torch.float64), torch.tensor([target]))
            for row in (teacher, student)
        ]
        beta = 1 - softmax(teacher)[target]
        kind = {"kind": "dkd", "teachers": "full", "alpha": 1, "beta": beta, "temperature": 1}
        loss = losses.distillation(outcomes[1], outcomes[:1], kind).item()
        self.assertAlmostEqual(loss, divergence(softmax(teacher), softmax(student)), places=12)

    def test_atkd_compares_standardised_rows(self) -> None:
        total = 0.0
        for rows in self.rows("logits"):
            distributions = []
            for row in rows:
                mean = sum(row) / 5
                deviation = math.sqrt(sum((z - mean) ** 2 for z in row) / 5 + 1e-5)
                distributions.append(softmax([2 * (z - mean) / deviation / 4 for z in row]))
            total += divergence(distributions[1], distributions[0])
        self.assertAlmostEqual(self.distilled(kind="atkd", multiplier=2, temperature=4), total / 3 * 16, places=12)

    def test_larger_widths_teach_in_equal_parts(self) -> None:
        each = [
            losses.distillation(self.outcomes[2], [teacher], {"kind": "mse-logits", "teachers": "full"}).item()
            for teacher in self.outcomes[:2]
        ]
        self.assertAlmostEqual(self.distilled(kind="mse-logits", teachers="larger"), sum(each) / 2, places=12)
        self.assertAlmostEqual(self.distilled(kind="mse-logits"), each[0], places=12)

    def test_nobody_teaches_the_full_width(self) -> None:
        self.assertIsNone(losses.distillation(self.outcomes[0], [], {"kind": "mse-logits", "teachers": "full"}))
        self.assertIsNone(losses.distillation(self.outcomes[1], self.outcomes[:1], {"kind": "none"}))


class Reweighting(unittest.TestCase):
    def test_weights_of_four_widths(self) -> None:
        expected = {
            "none": [1, 1, 1, 1],
            "sum-of-others": [2.5, 1, 1, 1],
            "second-largest": [1.75, 1, 1, 1],
            "width": [1, 0.75, 0.5, 0.25],
            "width-share": [0.4, 0.3, 0.2, 0.1],
            "mean-one": [1.6, 1.2, 0.8, 0.4],
            # 2.5, 1.75, 1.25 and 1 add up to 6.5.
            "cumulative": [20 / 13, 14 / 13, 10 / 13, 8 / 13],
        }
        for kind, weights in expected.items():
            for weight, value in zip(losses.loss_weights([1, 0.75, 0.5, 0.25], kind), weights):
                self.assertAlmostEqual(weight, value, places=12, msg=kind)

    def test_a_single_width_has_weight_1(self) -> None:
        for kind in ("none", "sum-of-others", "second-largest", "width", "width-share", "mean-one", "cumulative"):
            self.assertEqual(losses.loss_weights([1], kind), [1])


class Optimizers(unittest.TestCase):
    """Two steps on a matrix and a vector, element by element."""

    shared = {"clipNorm": 0, "decay": ["weight"]}

    def setUp(self) -> None:
        torch.manual_seed(3)
        self.start = {
            "fc.weight": torch.randn(2, 3, dtype=torch.float64),
            "fc.bias": torch.randn(4, dtype=torch.float64),
        }
        self.gradients = [
            {name: torch.randn_like(value) for name, value in self.start.items()} for _ in range(2)
        ]

    def run_steps(self, config: dict, slot_names: List[str]) -> dict:
        trained = {name: torch.nn.Parameter(value.clone()) for name, value in self.start.items()}
        slots = {
            name: {slot: torch.zeros_like(value) for slot in slot_names} for name, value in self.start.items()
        }
        for step, gradients in enumerate(self.gradients, start=1):
            for name, parameter in trained.items():
                parameter.grad = gradients[name].clone()
            update(config, trained, slots, 0.1, 0.01, {name: step for name in trained})
        return {name: parameter.detach() for name, parameter in trained.items()}

    def assert_elements(self, got: dict, expected: dict) -> None:
        for name, values in expected.items():
            for a, b in zip(got[name].flatten().tolist(), values):
                self.assertAlmostEqual(a, b, places=12, msg=name)

    def test_sgd_with_and_without_nesterov(self) -> None:
        for nesterov in (False, True):
            expected = {}
            for name, value in self.start.items():
                decay = 0.01 if name == "fc.weight" else 0
                expected[name] = []
                for i, p in enumerate(value.flatten().tolist()):
                    velocity = 0.0
                    for gradients in self.gradients:
                        g = gradients[name].flatten()[i].item() + decay * p
                        velocity = 0.9 * velocity + g
                        p -= 0.1 * (g + 0.9 * velocity if nesterov else velocity)
                    expected[name].append(p)
            config = {"kind": "sgd", "momentum": 0.9, "nesterov": nesterov, **self.shared}
            self.assert_elements(self.run_steps(config, ["velocity"]), expected)

    def test_lars_scales_matrices_only(self) -> None:
        expected = {}
        for name, value in self.start.items():
            p = value.flatten().tolist()
            velocity = [0.0] * len(p)
            for gradients in self.gradients:
                g = gradients[name].flatten().tolist()
                q = 1.0
                if name == "fc.weight":
                    g = [gi + 0.01 * pi for gi, pi in zip(g, p)]
                    q = 0.02 * math.sqrt(dot(p, p)) / math.sqrt(dot(g, g))
                velocity = [0.9 * v + q * gi for v, gi in zip(velocity, g)]
                p = [pi - 0.1 * v for pi, v in zip(p, velocity)]
            expected[name] = p
        config = {"kind": "lars", "momentum": 0.9, "trust": 0.02, **self.shared}
        self.assert_elements(self.run_steps(config, ["velocity"]), expected)

    def test_adamw_decouples_decay_and_corrects_the_bias_of_both_means(self) -> None:
        expected = {}
        for name, value in self.start.items():
            decay = 0.01 if name == "fc.weight" else 0
            expected[name] = []
            for i, p in enumerate(value.flatten().tolist()):
                mean = square = 0.0
                for t, gradients in enumerate(self.gradients, start=1):
                    g = gradients[name].flatten()[i].item()
                    p *= 1 - 0.1 * decay
                    mean = 0.8 * mean + 0.2 * g
                    square = 0.95 * square + 0.05 * g * g
                    p -= 0.1 * (mean / (1 - 0.8**t)) / (math.sqrt(square / (1 - 0.95**t)) + 1e-6)
                expected[name].append(p)
        config = {"kind": "adamw", "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, **self.shared}
        self.assert_elements(self.run_steps(config, ["first_moment", "second_moment"]), expected)

    def test_clipping_scales_all_gradients_to_one_norm(self) -> None:
        config = {"kind": "sgd", "momentum": 0.9, "nesterov": False, "decay": [], "clipNorm": 0.5}
        self.gradients = self.gradients[:1]
        (gradients,) = self.gradients
        norm = math.sqrt(sum(g * g for value in gradients.values() for g in value.flatten().tolist()))
        self.assertGreater(norm, 0.5)
        moved = self.run_steps(config, ["velocity"])
        distance = math.sqrt(sum(((moved[n] - self.start[n]) ** 2).sum().item() for n in moved))
        self.assertAlmostEqual(distance, 0.1 * 0.5, places=6)
        self.assert_elements(
            moved,
            {n: (self.start[n] - 0.1 * 0.5 / (norm + 1e-6) * gradients[n]).flatten().tolist() for n in moved},
        )


if __name__ == "__main__":
    unittest.main()
