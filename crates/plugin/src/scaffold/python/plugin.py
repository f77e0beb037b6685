"""Counts the words of a text."""

import json
from collections import Counter

from supermoe_sdk import run


def count_words(stage):
    counts = Counter()
    lines = stage.input("text").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        counts.update(line.split())
        stage.progress(number, len(lines), unit="line")
    kept = {word: count for word, count in sorted(counts.items()) if count >= stage.params["least"]}
    stage.output("counts").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    stage.metric("words", len(kept))


run(count_words)
