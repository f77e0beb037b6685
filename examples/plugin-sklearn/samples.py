"""A dataset folder as a table of numbers, and predictions in the form that `evaluate` reads."""

import json

import numpy
import pyarrow
import pyarrow.parquet

VERSION = 2


class Samples:
    """The samples of a dataset, in its order."""

    def __init__(self, folder):
        self.schema = json.loads((folder / "schema.json").read_text())
        if self.schema["version"] != VERSION:
            raise ValueError(f"the dataset is of version {self.schema['version']}, expected {VERSION}")
        self.table = read_shards(folder / "samples")
        entities = folder / "entities"
        self.entities = read_shards(entities) if entities.exists() else None
        self.split = numpy.array(self.table["split"].to_pylist())

    def of_split(self, split):
        return self.split == split

    def tasks(self, names):
        """The tasks of these names, or all; an error names those that there are."""
        known = {task["name"]: task for task in self.schema["tasks"]}
        missing = [name for name in names or [] if name not in known]
        if missing or not known:
            there = ", ".join(known) or "none"
            raise ValueError(f"`tasks`: the dataset has no task {missing}; it has {there}")
        return [known[name] for name in names or known]

    def labels(self, task):
        """NaN where there is none."""
        return number_column(self.table, f"label_{task['name']}")

    def numbers(self, one_hot):
        """[samples, numbers]: aggregates, and what stands in the snapshot and the entity."""
        columns = [number_column(self.table, f"aggregate_{of['name']}") for of in self.schema["aggregates"]]
        for channel in self.schema["channels"]:
            if channel["per"] == "snapshot":
                columns += columns_of(channel, number_column(self.table, f"channel_{channel['name']}"), one_hot)
            if channel["per"] == "entity":
                values = number_column(self.entities, f"channel_{channel['name']}")
                of_samples = values[self.table["entity_index"].to_numpy()]
                columns += columns_of(channel, of_samples, one_hot)
        if not columns:
            raise ValueError("the dataset has no aggregates and no channels of the snapshot: name some in `prepare`")
        numbers = numpy.column_stack(columns)
        # A number that is unknown is its mean over the training samples.
        means = numpy.nan_to_num(numpy.nanmean(numbers[self.of_split("train")], axis=0))
        return numpy.where(numpy.isnan(numbers), means, numbers)


def columns_of(channel, values, one_hot):
    """A number as it is; a code as a column for each code, or as it is."""
    if channel["kind"] == "dense" or not one_hot:
        return [values]
    return [(values == code).astype(float) for code in numpy.unique(values)]


def read_shards(folder):
    shards = sorted(folder.glob("part-*.parquet"))
    return pyarrow.concat_tables([pyarrow.parquet.read_table(shard) for shard in shards])


def number_column(table, name):
    column = table[name].combine_chunks().cast(pyarrow.float64())
    return column.to_numpy(zero_copy_only=False)


def write_predictions(folder, samples, tasks, scores, splits):
    """`scores` has a column by task, or of a multiclass task one for each class."""
    entity = numpy.array(samples.table["entity"].to_pylist(), dtype=object)
    snapshot = samples.table["snapshot"].cast(pyarrow.timestamp("ms")).to_pylist()
    rows = {name: [] for name in ("entity", "snapshot", "split", "task", "class", "label", "score")}
    for split in splits:
        chosen = numpy.flatnonzero(samples.of_split(split))
        for task in tasks:
            labels = samples.labels(task)
            classes = task["classes"] if task["kind"] == "multiclass" else [None]
            for sample in chosen:
                label = labels[sample]
                for place, name in enumerate(classes):
                    if numpy.isnan(label):
                        told = None
                    else:
                        told = float(label if name is None else label == place)
                    rows["entity"].append(entity[sample])
                    rows["snapshot"].append(snapshot[sample])
                    rows["split"].append(split)
                    rows["task"].append(task["name"])
                    rows["class"].append(name)
                    rows["label"].append(told)
                    rows["score"].append(float(scores[task["name"]][sample, place]))
    kinds = {task["name"]: task["kind"] for task in sorted(tasks, key=lambda task: task["name"])}
    schema = pyarrow.schema(
        [
            pyarrow.field("entity", pyarrow.string(), nullable=False),
            pyarrow.field("snapshot", pyarrow.timestamp("ms"), nullable=False),
            pyarrow.field("split", pyarrow.string(), nullable=False),
            pyarrow.field("task", pyarrow.string(), nullable=False),
            pyarrow.field("class", pyarrow.string()),
            pyarrow.field("label", pyarrow.float32()),
            pyarrow.field("score", pyarrow.float64(), nullable=False),
        ],
        metadata={"supermoe.tasks": json.dumps(kinds)},
    )
    table = pyarrow.table(rows, schema=schema)
    pyarrow.parquet.write_table(table, folder / "predictions.parquet", compression="zstd", store_schema=False)
