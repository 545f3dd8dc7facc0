"""Reads back what `ddpipe export` wrote, by the programs that it is for, and prints as JSON what they saw.

    python3 read_back.py tensorboard|mlflow|crate|huggingface|files FOLDER
"""

import json
import os
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version


def tensorboard(folder):
    """Starts TensorBoard and asks it as a browser would."""
    from tensorboard import default, program

    board = program.TensorBoard(plugins=default.get_plugins())
    board.configure(argv=["", "--logdir", folder, "--port", "0", "--load_fast", "false", "--reload_interval", "0"])
    url = board.launch().rstrip("/")

    def ask(path, data=None):
        request = urllib.request.Request(url + path, data=data and json.dumps(data).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    expected = len(os.listdir(folder))
    for _ in range(600):
        if len(ask("/data/runs")) == expected:
            break
        time.sleep(0.05)
    tags = ask("/data/plugin/scalars/tags")
    scalars = {}
    for run, found in tags.items():
        for tag in found:
            query = urllib.parse.urlencode({"run": run, "tag": tag})
            scalars.setdefault(run, {})[tag] = [point[1:] for point in ask(f"/data/plugin/scalars/scalars?{query}")]
    groups = ask(
        "/data/plugin/hparams/session_groups",
        {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "colParams": [], "startIndex": 0, "sliceSize": 99},
    )
    return {
        "version": version("tensorboard"),
        "scalars": scalars,
        "images": {run: sorted(found) for run, found in ask("/data/plugin/images/tags").items() if found},
        "settings": {group["name"]: group["hparams"] for group in groups["sessionGroups"]},
    }


def mlflow(folder):
    """Opens the store as a client does."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=folder)
    runs = {}
    experiments = [found for found in client.search_experiments() if found.name.startswith("ddpipe/")]
    for found in client.search_runs([experiment.experiment_id for experiment in experiments]):
        metrics = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
        runs[found.info.run_name] = {
            "status": found.info.status,
            "params": found.data.params,
            "tags": found.data.tags,
            "metrics": {name: [[it.step, it.value] for it in points] for name, points in metrics.items()},
            "files": sorted(file.path for file in client.list_artifacts(found.info.run_id)),
        }
    return {"version": version("mlflow-skinny"), "experiments": [it.name for it in experiments], "runs": runs}


def crate(folder):
    """Asks the validator of RO-Crates whether it is one of the profile. The meaning of the properties of RO-Crate 1.1, which it
    would fetch from the network, is the copy that the package `rocrate` has; nothing else is answered."""
    from importlib.resources import files

    from requests import Response
    from rocrate_validator import models, services
    from rocrate_validator.utils.http import HttpRequester

    def answer(_, url, **more):
        answer = Response()
        answer.status_code = 200 if url == "https://w3id.org/ro/crate/1.1/context" else 404
        answer._content = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
        answer.headers["Content-Type"] = "application/ld+json"
        return answer

    HttpRequester.get = HttpRequester.head = answer
    result = services.validate(
        services.ValidationSettings(
            rocrate_uri=folder,
            cache_path=os.path.join(tempfile.mkdtemp(), "cache"),
            profile_identifier="process-run-crate",
            requirement_severity=models.Severity.REQUIRED,
        )
    )
    issues = [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
    return {"version": version("roc-validator"), "issues": issues}


def huggingface(folder):
    """Loads every set as a user of the library does."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HF_HOME"] = cache
        from datasets import get_dataset_config_names, load_dataset

        sets = {}
        for config in get_dataset_config_names(folder):
            loaded = load_dataset(folder, config, split="train", cache_dir=cache)
            first = loaded[0]
            picture = first.pop("image", None)
            sets[config] = {
                "images": len(loaded),
                "features": {name: type(feature).__name__ for name, feature in loaded.features.items()},
                "names": getattr(loaded.features.get("label"), "names", None),
                "labels": loaded["label"][:] if "label" in loaded.features else None,
                "size": picture and list(picture.size),
                "first": first,
            }
        return {"version": version("datasets"), "sets": sets}


def files(folder):
    """Opens arrays and pictures as NumPy and Pillow do."""
    import numpy
    from PIL import Image

    arrays = {}
    for name in sorted(os.listdir(f"{folder}/arrays")):
        with numpy.load(f"{folder}/arrays/{name}") as archive:
            found = {part: [str(archive[part].dtype), list(archive[part].shape)] for part in archive}
            arrays[name.removesuffix(".npz")] = {**found, "first": archive["images"][0].tolist()}
    picture = Image.open(f"{folder}/png/test_set/000000.png")
    exact = numpy.array_equal(numpy.asarray(picture), arrays["test_set"]["first"][0])
    return {"version": version("numpy"), "arrays": arrays, "pictures": [list(picture.size), picture.mode], "exact": exact}


if __name__ == "__main__":
    what, folder = sys.argv[1:]
    programs = [tensorboard, mlflow, crate, huggingface, files]
    print(json.dumps({program.__name__: program for program in programs}[what](folder)))
