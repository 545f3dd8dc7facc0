"""A synthetic set of the mean image of each class. Plain Python; with NumPy or PyTorch it would be a few lines."""

import json

import tensors

with open("params.json") as file:
    sharpen = json.load(file)["params"]["sharpen"]

about, real = tensors.load("inputs/real.safetensors")
if "whitening_mean" in real:
    raise SystemExit("own.class_means reads data sets without whitening; decode with whitening = \"none\"")
(count, channels, height, width), pixels = real["images"]
labels = real["labels"][1]
size = channels * height * width

# Raw pixels, as they are in the file: divided by `scale` they lie in [0, 1].
sums = [[0.0] * size for _ in range(about["classes"])]
counts = [0] * about["classes"]
for index, label in enumerate(labels):
    image = pixels[index * size : (index + 1) * size]
    sums[label] = [total + pixel for total, pixel in zip(sums[label], image)]
    counts[label] += 1
    if index % 100 == 99 or index + 1 == count:
        print(f"progress {index + 1}/{count}")

if 0 in counts:
    raise SystemExit(f"class {counts.index(0)} has no images")
means = [[total / n / about["scale"] for total in own] for own, n in zip(sums, counts)]
overall = [sum(column) / len(means) for column in zip(*means)]
distance = sum(abs(a - b) for own in means for a, b in zip(own, overall)) / (len(means) * size)

# A synthetic set holds normalised float32 images, class by class.
mean, std = about["normalisation"]["mean"], about["normalisation"]["std"]
images = []
for own in means:
    for place, (pixel, middle) in enumerate(zip(own, overall)):
        channel = place // (height * width)
        images.append((pixel + sharpen * (pixel - middle) - mean[channel]) / std[channel])

tensors.save(
    "outputs/synthetic.safetensors",
    "synthetic",
    {
        "classes": about["classes"],
        "ipc": 1,
        "normalisation": about["normalisation"],
        "origin": about["origin"],
    },
    {
        "images": ("F32", [about["classes"], channels, height, width], images),
        "labels": ("I64", [about["classes"]], range(about["classes"])),
    },
)
with open("outputs/metrics.json", "w") as file:
    json.dump({"metrics": {"distance": distance}}, file)
