"""Prints the AUC of two files and the seconds that scikit-learn took, reading not counted: auc.py SCORES LABELS."""
import sys, time
import numpy as np
from sklearn.metrics import roc_auc_score

scores, labels = np.fromfile(sys.argv[1], "<f8"), np.fromfile(sys.argv[2], np.uint8)
started = time.perf_counter()
auc = roc_auc_score(labels, scores)
print(repr(float(auc)), time.perf_counter() - started)
