"""A confidence interval of the mean by bootstrap: an example of a plugin that can be stopped and
goes on where it was, with the same result to the last digit."""

import json
import random
import time

from supermoe_sdk import Stopped, run

CHECKPOINT_SECONDS = 0.5


def bootstrap(stage):
    samples = stage.params["samples"]
    values = [float(line) for line in stage.input("values").read_text().split()]
    generator = random.Random(stage.seed)
    means = resume(stage, generator)
    saved_at = float("-inf")
    while len(means) < samples:
        for _ in range(min(256, samples - len(means))):
            means.append(sum(generator.choices(values, k=len(values))) / len(values))
        stage.progress(len(means), samples, unit="sample")
        if stage.stop_requested or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            save(stage, generator, means)
            saved_at = time.monotonic()
        if stage.stop_requested:
            raise Stopped()
    with stage.output("means").open("w") as file:
        file.writelines(f"{mean!r}\n" for mean in means)
    means.sort()
    outside = (1 - stage.params["confidence"]) / 2
    interval = {
        "low": means[int(outside * (samples - 1))],
        "mean": sum(values) / len(values),
        "high": means[int((1 - outside) * (samples - 1))],
    }
    stage.output("interval").write_text(json.dumps(interval) + "\n")
    for name, value in interval.items():
        stage.metric(name, value)


def resume(stage, generator):
    """The means of an earlier attempt, with the generator as it was then."""
    path = stage.checkpoint / "state.json"
    if not path.exists():
        return []
    state = json.loads(path.read_text())
    version, internal, gauss = state["generator"]
    generator.setstate((version, tuple(internal), gauss))
    return state["means"]


def save(stage, generator, means):
    """Renamed into place, so that a kill leaves the old state or the new one."""
    path = stage.checkpoint / "state.json.new"
    path.write_text(json.dumps({"generator": generator.getstate(), "means": means}))
    path.replace(stage.checkpoint / "state.json")
    stage.checkpoint_ready(len(means))


run(bootstrap)
