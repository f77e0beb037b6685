"""The preparation of `cargo xtask bench prepare` in Polars: prepare_polars.py EVENTS FOLDER.

Lazy throughout, on the streaming engine; the sorted steps go to a file once and are scanned from there.
"""
import json, sys
from datetime import datetime, timedelta
import polars as pl

events, folder = sys.argv[1:]
HISTORY, WITHIN, LENGTH, MIN_COUNT = timedelta(days=180), timedelta(days=30), 128, 5
SPLITS = {"train": ["2023-07-01", "2023-08-01", "2023-09-01"], "valid": ["2023-10-01"], "test": ["2023-11-01"]}
TRAINED = datetime.fromisoformat(SPLITS["train"][-1])
DAY = timedelta(days=1)

raw = pl.scan_parquet(events).with_columns(
    amount=pl.col("price") * pl.col("quantity"), weekday=pl.col("time").dt.weekday(), hour=pl.col("time").dt.hour())

vocabularies = {}
for name in ("item", "shop", "weekday", "hour"):
    counts = raw.filter(pl.col("time") < TRAINED).group_by(name).agg(count=pl.len())
    known = counts.filter(pl.col("count") >= (MIN_COUNT if name == "item" else 1)).sort(["count", name], descending=[True, False])
    vocabularies[name] = known.with_row_index("code", 3).collect(engine="streaming")
    vocabularies[name].write_parquet(f"{folder}/{name}.parquet")


def code(name):
    known = vocabularies[name]
    return pl.col(name).replace_strict(known[name], known["code"], default=1, return_dtype=pl.UInt32)


# Rows of a user stand together after the sort, so neighbours and running sums need no grouping.
new, first = pl.col("user") != pl.col("user").shift(1), pl.col("new")
steps = (
    raw.sort("user", "time", "item")
    .with_columns(new=new.fill_null(True), since=(pl.col("time") - pl.col("time").shift(1)).fill_null(timedelta(0)))
    .with_columns(since=pl.when(first).then(timedelta(0)).otherwise("since"))
    .with_columns(
        entity=first.cum_sum() - 1,
        all_visits=(~first & (pl.col("since") > timedelta(0))).cum_sum().cast(pl.Int64),
        all_spent=pl.col("amount").abs().cum_sum())
    .with_columns(
        visit=pl.col("all_visits") - pl.when(first).then("all_visits").forward_fill(),
        spent=pl.col("all_spent") - pl.when(first).then(pl.col("all_spent") - pl.col("amount").abs()).forward_fill())
    .select(
        "user", "time", "amount", "entity", pl.col("visit").cast(pl.Int32),
        *[code(name).alias(name) for name in vocabularies],
        log_price=pl.col("price").log1p().cast(pl.Float32),
        log_amount=(pl.col("amount").sign() * pl.col("amount").abs().log1p()).cast(pl.Float32),
        gap=(pl.col("since") / DAY).log1p().cast(pl.Float32),
        visits=(pl.col("visit") + 1).cast(pl.Float64), spent="spent")
)
steps.sink_parquet(f"{folder}/steps.parquet", engine="streaming")
steps = pl.scan_parquet(f"{folder}/steps.parquet").with_row_index("row")

parts = []
for split, dates in SPLITS.items():
    for date in map(datetime.fromisoformat, dates):
        ago, amount = (date - pl.col("time")) / DAY, pl.col("amount")
        seen = steps.filter(pl.col("time").is_between(date - HISTORY, date, closed="left")).group_by("entity").agg(
            pl.col("user").first(), window_first=pl.col("row").min(), rows=pl.len(), newest=ago.min(), spent=amount.sum(),
            rows_30d=(ago < 30).sum(), spent_30d=amount.filter(ago < 30).sum())
        ahead = steps.filter(pl.col("time").is_between(date, date + WITHIN, closed="left")).group_by("entity").agg(
            count=pl.len(), sum=amount.sum())
        parts.append(seen.join(ahead, on="entity", how="left").with_columns(
            buys=(pl.col("count").fill_null(0) > 0).cast(pl.Float32), spends=(pl.col("sum").fill_null(0.0) > 500).cast(pl.Float32),
            steps=pl.min_horizontal("rows", LENGTH), split=pl.lit(split), snapshot=pl.lit(date)))
log = lambda name: (pl.col(name).sign() * pl.col(name).abs().log1p()).cast(pl.Float32)
samples = pl.concat(parts).select(
    "entity", pl.col("user").cast(pl.String), "split", "snapshot", "window_first", "steps", "newest", "buys", "spends",
    log("spent"), log("rows_30d"), log("spent_30d"), first_step=pl.col("window_first") + pl.col("rows") - pl.col("steps"))
samples.sort("snapshot", "entity").sink_parquet(f"{folder}/samples.parquet", engine="streaming")

dates = [datetime.fromisoformat(date) for date in SPLITS["train"]]
used = steps.filter(pl.col("time").is_between(dates[0] - HISTORY, dates[-1], closed="left"))
numbers = {name: pl.col(name).log1p() if name in ("visits", "spent") else pl.col(name) for name in ("log_price", "log_amount", "gap", "visits", "spent")}
moments = used.select(
    *[x.mean().alias(f"{name}_mean") for name, x in numbers.items()],
    *[x.std(ddof=0).alias(f"{name}_deviation") for name, x in numbers.items()], rows=pl.len()).collect(engine="streaming")
every = moments["rows"][0] // 200_000 + 1
some = used.with_row_index("place").filter(pl.col("place") % every == 0).select(**numbers)
quantiles = some.select([x.quantile(i / 32, "linear").alias(f"{x.meta.output_name()}_{i}") for x in map(pl.col, numbers) for i in range(1, 32)])
scales = moments.hstack(quantiles.collect(engine="streaming"))
json.dump(scales.row(0, named=True), open(f"{folder}/scales.json", "w"))
counts = pl.scan_parquet(f"{folder}/samples.parquet").group_by("split").agg(
    samples=pl.len(), buys=pl.col("buys").sum(), spends=pl.col("spends").sum()).collect()
print(json.dumps({split: [int(samples), int(buys), int(spends)] for split, samples, buys, spends in counts.rows()}))
