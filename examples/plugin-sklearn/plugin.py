"""What a practitioner tries first: gradient boosting or logistic regression on a dataset's aggregates.

The numbers of a sample are its aggregates and the channels of its snapshot and entity; the sequence of
steps is not looked at. Each task is learned by itself from the training samples that have its label.
"""

import os

# Sums over threads have no fixed order: with one, the same inputs give the same bytes.
os.environ["OMP_NUM_THREADS"] = "1"

from supermoe_sdk import run

import numpy
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from samples import Samples, write_predictions

SPLITS = ("valid", "test")


def classifier(stage):
    params = stage.params
    if params["model"] == "gbdt":
        return HistGradientBoostingClassifier(**boosting(stage))
    # scikit-learn divides by the penalty; 0 stands for almost none.
    c = 1 / max(params["regularisation"], 1e-12)
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=params["iterations"]))


def regressor(stage):
    if stage.params["model"] == "gbdt":
        return HistGradientBoostingRegressor(**boosting(stage))
    return make_pipeline(StandardScaler(), Ridge(alpha=stage.params["regularisation"]))


def boosting(stage):
    params = stage.params
    seed = stage.seed if params["seed"] is None else params["seed"]
    return {
        "max_iter": params["iterations"],
        "learning_rate": params["learning_rate"],
        "max_leaf_nodes": params["leaves"],
        "min_samples_leaf": params["samples_of_a_leaf"],
        "l2_regularization": params["regularisation"],
        "early_stopping": False,
        "random_state": seed % 2**32,
    }


def fit(stage):
    samples = Samples(stage.input("dataset"))
    tasks = samples.tasks(stage.params["tasks"])
    one_hot = stage.params["model"] == "logistic"
    numbers = samples.numbers(one_hot)
    scores = {}
    for done, task in enumerate(tasks):
        stage.progress(done, len(tasks), unit="task", message=task["name"])
        labels = samples.labels(task)
        known = samples.of_split("train") & ~numpy.isnan(labels)
        if len(numpy.unique(labels[known])) < 2:
            raise ValueError(f"the labels of task `{task['name']}` do not differ in the training samples")
        scores[task["name"]] = learn(stage, task, numbers, labels, known)
        measure(stage, samples, task, labels, scores[task["name"]])
    stage.progress(len(tasks), len(tasks), unit="task")
    write_predictions(stage.output("predictions"), samples, tasks, scores, SPLITS)


def learn(stage, task, numbers, labels, known):
    """Scores of all samples: a column, or of a multiclass task one for each class."""
    if task["kind"] == "regression":
        model = regressor(stage).fit(numbers[known], labels[known])
        return model.predict(numbers)[:, None]
    model = classifier(stage).fit(numbers[known], labels[known].astype(int))
    told = model.predict_proba(numbers)
    if task["kind"] == "binary":
        return told[:, 1:]
    # Classes that no training sample has get no probability.
    scores = numpy.zeros((len(numbers), len(task["classes"])))
    scores[:, model.classes_] = told
    return scores


def measure(stage, samples, task, labels, scores):
    if task["kind"] != "binary":
        return
    for split in SPLITS:
        known = samples.of_split(split) & ~numpy.isnan(labels)
        if len(numpy.unique(labels[known])) == 2:
            stage.metric(f"{split}/{task['name']}/auc", roc_auc_score(labels[known], scores[known, 0]))


run(fit)
