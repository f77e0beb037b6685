"""The preparation of `cargo xtask bench prepare` in pandas: prepare_pandas.py EVENTS FOLDER.

Whole columns at a time, NumPy where pandas only adds overhead, one pass per snapshot.
"""
import json, sys
import numpy as np
import pandas as pd

events, folder = sys.argv[1:]
DAY = np.timedelta64(1, "D")
HISTORY, WITHIN, LENGTH, MIN_COUNT = 180 * DAY, 30 * DAY, 128, 5
SPLITS = {"train": ["2023-07-01", "2023-08-01", "2023-09-01"], "valid": ["2023-10-01"], "test": ["2023-11-01"]}
TRAINED = np.datetime64(SPLITS["train"][-1])


def encode(column):
    """Codes by falling frequency in the training period, 1 for what is rare there or unseen."""
    codes, values = pd.factorize(column)
    counts = np.bincount(codes[time < TRAINED], minlength=len(values))
    known = np.flatnonzero(counts >= (MIN_COUNT if column.name == "item" else 1))
    known = known[np.lexsort((np.asarray(values, str)[known], -counts[known]))]
    code = np.ones(len(values), np.uint32)
    code[known] = np.arange(3, 3 + len(known), dtype=np.uint32)
    pd.DataFrame({"value": np.asarray(values, str)[known], "code": code[known], "count": counts[known]}).to_parquet(f"{folder}/{column.name}.parquet")
    return code[codes]


d = pd.read_parquet(events).sort_values(["user", "time", "item"], ignore_index=True)
user, time = d["user"].to_numpy(), d["time"].to_numpy()
amount = d["price"].to_numpy() * d["quantity"].to_numpy()
first = np.r_[True, user[1:] != user[:-1]]
start = np.flatnonzero(first)
entity = np.cumsum(first) - 1
since = np.where(first, 0.0, np.r_[0, (time[1:] - time[:-1]) / DAY])
visit = np.cumsum(~first & (since > 0)); visit -= visit[start][entity]
spent = np.cumsum(np.abs(amount)); spent -= (spent[start] - np.abs(amount[start]))[entity]
steps = pd.DataFrame({
    "entity": entity, "visit": visit.astype(np.int32),
    "item": encode(d["item"]), "shop": encode(d["shop"]),
    "weekday": encode(d["time"].dt.weekday.rename("weekday")), "hour": encode(d["time"].dt.hour.rename("hour")),
    "log_price": np.log1p(d["price"].to_numpy()).astype(np.float32),
    "log_amount": (np.sign(amount) * np.log1p(np.abs(amount))).astype(np.float32),
    "gap": np.log1p(since).astype(np.float32),
    "visits": (visit + 1).astype(np.float64), "spent": spent,
})
steps.to_parquet(f"{folder}/steps.parquet")

samples, used = [], np.zeros(len(user), bool)
for split, dates in SPLITS.items():
    for date in map(np.datetime64, dates):
        seen = np.flatnonzero((time >= date - HISTORY) & (time < date))
        used[seen] |= split == "train"
        ago = (date - time[seen]) / DAY
        h = pd.DataFrame({"entity": entity[seen], "row": seen, "ago": ago, "amount": amount[seen], "late": ago < 30,
                          "amount_30d": np.where(ago < 30, amount[seen], 0.0)}).groupby("entity", sort=True)
        s = h.agg(window_first=("row", "first"), rows=("row", "size"), newest=("ago", "min"), spent=("amount", "sum"),
                  rows_30d=("late", "sum"), spent_30d=("amount_30d", "sum"))
        s["steps"] = np.minimum(s["rows"], LENGTH)
        s["first_step"] = s["window_first"] + s["rows"] - s["steps"]
        ahead = np.flatnonzero((time >= date) & (time < date + WITHIN))
        f = pd.DataFrame({"entity": entity[ahead], "amount": amount[ahead]}).groupby("entity")["amount"].agg(["size", "sum"]).reindex(s.index, fill_value=0)
        s["buys"], s["spends"] = (f["size"] > 0).astype(np.float32), (f["sum"] > 500).astype(np.float32)
        for name in ("spent", "rows_30d", "spent_30d"):
            s[name] = (np.sign(s[name]) * np.log1p(s[name].abs())).astype(np.float32)
        s["split"], s["snapshot"] = split, date
        samples.append(s.drop(columns="rows").reset_index())
samples = pd.concat(samples, ignore_index=True)
samples["user"] = user[start][samples["entity"]].astype(str)
samples.to_parquet(f"{folder}/samples.parquet")

scales = {}
for name in ("log_price", "log_amount", "gap", "visits", "spent"):
    x = steps[name].to_numpy()[used]
    x = np.log1p(x) if name in ("visits", "spent") else x
    scales[name] = {"mean": float(x.mean()), "deviation": float(x.std()), "quantiles": np.quantile(x[:: len(x) // 200_000 + 1], np.arange(1, 32) / 32).tolist()}
counts = samples.groupby("split").agg(samples=("entity", "size"), buys=("buys", "sum"), spends=("spends", "sum"))
json.dump(scales, open(f"{folder}/scales.json", "w"))
print(json.dumps({split: [int(x) for x in row] for split, row in zip(counts.index, counts.to_numpy())}))
