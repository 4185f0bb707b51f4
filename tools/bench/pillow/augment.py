"""Two views per image with torchvision's transforms on PIL images: the rival of `npm run bench -- augment`.

Arguments: one JSON object (see `Settings` in rival.ts). For every line on standard input it runs through the
images once and prints the seconds that the batches after the first `skip` took, and the processor seconds of this
process and its workers.
"""

import json
import os
import sys
import time

import torch
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import transforms


class PillowBlur:
    """The blur of MoCo v2's own code: Pillow's, which approximates a Gaussian by box filters."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, image):
        sigma = torch.empty(1).uniform_(self.low, self.high).item()
        return image.filter(ImageFilter.GaussianBlur(sigma))


def recipe(size, blur, mean, std):
    # 13 taps reach three standard deviations of the widest blur, as ours do.
    blurs = {
        "none": [],
        "torchvision": [transforms.RandomApply([transforms.GaussianBlur(13, (0.1, 2.0))], 0.5)],
        "pillow": [transforms.RandomApply([PillowBlur(0.1, 2.0)], 0.5)],
    }
    return transforms.Compose([
        transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
        transforms.RandomGrayscale(0.2),
        *blurs[blur],
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(mean, std, inplace=True),
    ])


class TwoViews(Dataset):
    """Images decoded once each, from files or from memory."""

    def __init__(self, images, transform):
        self.images, self.transform = images, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if isinstance(image, str):
            image = Image.open(image).convert("RGB")
        return self.transform(image), self.transform(image)


def packed(path, side):
    """PIL images of a file of `side` x `side` RGB pixels, one image after the other."""
    with open(path, "rb") as file:
        pixels = file.read()
    size = 3 * side * side
    return [
        Image.frombytes("RGB", (side, side), pixels[start : start + size])
        for start in range(0, len(pixels), size)
    ]


def collate(items):
    """The batch, and the processor time of the worker that made it."""
    return default_collate(items), os.getpid(), time.process_time()


def main():
    settings = json.loads(sys.argv[1])
    images = settings["files"] or packed(settings["packed"], settings["size"])
    transform = recipe(settings["size"], settings["blur"], settings["mean"], settings["std"])
    loader = DataLoader(
        TwoViews(images * settings["repeat"], transform),
        batch_size=settings["batchSize"],
        shuffle=True,
        drop_last=True,
        num_workers=settings["workers"],
        persistent_workers=True,
        collate_fn=collate,
    )
    for _ in sys.stdin:
        processor = {}
        for step, (_, worker, seconds) in enumerate(loader):
            processor[worker] = seconds
            if step == settings["skip"] - 1:
                start, before = time.perf_counter(), time.process_time() + sum(processor.values())
        wall = time.perf_counter() - start
        print(json.dumps([wall, time.process_time() + sum(processor.values()) - before]), flush=True)


if __name__ == "__main__":
    main()
