"""The supermoe plugin contract, protocol 1, for Python: this one file, standard library only.

A stage that fits a scikit-learn model, whole:

    from supermoe_sdk import run
    import joblib
    import pandas
    from sklearn.linear_model import LogisticRegression

    def fit(stage):
        table = pandas.read_csv(stage.input("table"))
        features = table.drop(columns=[stage.params["label"]])
        model = LogisticRegression(C=stage.params["c"], random_state=stage.seed)
        model.fit(features, table[stage.params["label"]])
        joblib.dump(model, stage.output("model"))
        stage.metric("accuracy", model.score(features, table[stage.params["label"]]))

    run(fit)

Import this file before numpy and the like: it tells their thread pools how many threads to use.
What is printed goes to the stage's log.
"""

import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

PROTOCOL = 1
PROGRESS_INTERVAL_SECONDS = 0.05


class Retry(Exception):
    """Raise it for a failure that another attempt may not meet: a network that was away."""


class Stopped(Exception):
    """Raise it after `stop_requested` became true and the checkpoint is saved."""


class Stage:
    """What a stage works with: its params and inputs, and the way to say how it goes."""

    def __init__(self, request, events_path):
        self._request = request
        self._events = open(events_path, "ab", buffering=0) if events_path else None
        self._lock = threading.Lock()
        self._held_progress = None
        self._last_progress = float("-inf")
        self._stop = threading.Event()
        self.params = request.get("params", {})
        self.seed = request.get("seed", 0)
        self.threads = max(1, request.get("threads", 1))
        self.device = request.get("device", "cpu")
        self.work = Path(request["work"])

    def input(self, port):
        """The path of the one artifact of an input; KeyError where it was not given."""
        artifacts = self.inputs(port)
        if len(artifacts) != 1:
            raise KeyError(f"the input `{port}` has {len(artifacts)} artifacts, expected 1")
        return artifacts[0]["path"]

    def inputs(self, port):
        """All artifacts of an input, each a dict with `path`, `type` and, of `x.*.port`, `matrix`."""
        artifacts = self._request.get("inputs", {}).get(port, [])
        return [{**artifact, "path": Path(artifact["path"])} for artifact in artifacts]

    def output(self, port):
        """Where to write an output: a file that does not exist, or an empty folder that does."""
        return Path(self._request["outputs"][port])

    @property
    def checkpoint(self):
        """The folder for mid-stage state, with what an earlier attempt left; None without one."""
        path = self._request.get("checkpoint")
        return Path(path) if path else None

    @property
    def stop_requested(self):
        """Whether to save a checkpoint and raise `Stopped`; read it at least every second."""
        return self._stop.is_set()

    def progress(self, done, total=None, unit=None, message=None, loss=None):
        """Cheap to call at every step: what comes too fast is thinned out."""
        event = {"event": "progress", "done": int(done)}
        if loss is not None and not math.isfinite(loss):
            loss = None
        fields = {"total": total, "unit": unit, "message": message, "loss": loss}
        event.update({name: value for name, value in fields.items() if value is not None})
        with self._lock:
            now = time.monotonic()
            if now - self._last_progress >= PROGRESS_INTERVAL_SECONDS or done == total:
                self._last_progress = now
                self._held_progress = None
                self._put(event)
            else:
                self._held_progress = event

    def metric(self, name, value, step=None):
        """The last value of a name is the stage's metric; steps make a curve."""
        value = float(value)
        if not math.isfinite(value):
            self.log(f"the metric {name} is {value} and was left out", level="warn")
            return
        event = {"event": "metric", "name": name, "value": value}
        if step is not None:
            event["step"] = int(step)
        self._write(event)

    def log(self, message, level="info"):
        """`level` is debug, info, warn or error."""
        self._write({"event": "log", "level": level, "message": str(message)})

    def checkpoint_ready(self, step=None):
        """Says that the checkpoint folder now holds a whole, consistent state."""
        event = {"event": "checkpoint"}
        if step is not None:
            event["step"] = int(step)
        self._write(event)

    def _error(self, message, retry):
        self._write({"event": "error", "message": message, "retry": retry})

    def _write(self, event):
        with self._lock:
            self._release_progress()
            self._put(event)

    def _flush(self):
        with self._lock:
            self._release_progress()

    def _release_progress(self):
        if self._held_progress is not None:
            held, self._held_progress = self._held_progress, None
            self._put(held)

    def _put(self, event):
        if self._events is not None:
            self._events.write(json.dumps(event, allow_nan=False).encode() + b"\n")


def run(work):
    """The main of a plugin: calls `work(stage)` and ends the process with its exit code."""
    request = _read_request()
    if request is None:
        print("this is a plugin and is started by supermoe, which sets SUPERMOE_REQUEST", file=sys.stderr)
        sys.exit(2)
    stage = Stage(request, os.environ.get("SUPERMOE_EVENTS"))
    signal.signal(signal.SIGTERM, lambda number, frame: stage._stop.set())
    code = 1
    try:
        if request.get("protocol") != PROTOCOL:
            raise ValueError(f"the request is of protocol {request.get('protocol')}, expected {PROTOCOL}")
        work(stage)
        code = 0
    except Stopped:
        stage._error("stopped on request", retry=True)
    except Retry as error:
        traceback.print_exc()
        stage._error(str(error), retry=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if code != 0:
            stage._error(f"left with {error.code}", retry=False)
    except BaseException as error:
        traceback.print_exc()
        stage._error(f"{type(error).__name__}: {error}", retry=False)
    stage._flush()
    sys.stdout.flush()
    sys.exit(code)


def _read_request():
    path = os.environ.get("SUPERMOE_REQUEST")
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _limit_threads():
    request = _read_request()
    if request is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, str(max(1, request.get("threads", 1))))


_limit_threads()
