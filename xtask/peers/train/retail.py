"""Fine-tuning on Online Retail II in PyTorch: the peer of the workflow `pretrain_finetune`'s stage `finetune`.

    python retail.py --finetune 1 --seed 0

The same samples, channels, aggregates, tasks and sizes. Batches hold samples of like lengths, padded on
the left; they are cut from arrays that lie ready in memory. Prints one line of JSON: sequences/s through
an epoch with the making of its batches, and AUC on the test snapshots after it.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn

from supermoe import POOL_BATCHES, Encoder, encoder_sizes, peak_mebibytes, pool

DATA = Path(__file__).resolve().parents[3] / "examples/data"
TASKS = ("buy30", "return60", "spend60", "xmas60")
DAY = 1440  # minutes; times are whole minutes
YEAR = 365 * DAY
UNKNOWN, MASK, FIRST = 1, 2, 3  # 0 is padding
WINDOWS = (14, 30, 60, 90, 120, 180, 270, 365)  # days
NEVER = 400.0  # days
STEP_CHANNELS, AGGREGATES = 12, 4 * len(WINDOWS) + 11


def signed_log(x):
    return np.sign(x) * np.log1p(np.abs(x))


class Events:
    """All transactions as columns, by customer and time, and the vocabularies of the training period."""

    def __init__(self, folder):
        frame = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
        frame = frame.sort_values(["customer_id", "invoice_date"], kind="stable")
        past = frame[frame.invoice_date < "2011-05-01"]
        self.product, products = self.encode(frame["product"], past["product"], 5)
        self.country, countries = self.encode(frame.country, past.country, 1)
        when = frame.invoice_date.dt
        calendar = [when.month - 1, when.day_of_week, when.hour]
        self.calendar = [part.to_numpy() + FIRST for part in calendar]
        self.vocabularies = [products, countries, 15, 10, 27, 15]
        self.customer, self.quantity = frame.customer_id.to_numpy(), frame.quantity.to_numpy()
        self.price = frame.unit_price.to_numpy()
        self.minute = frame.invoice_date.to_numpy().astype("datetime64[m]").astype(np.int64)
        self.christmas = frame["product"].str.contains("CHRISTMAS").to_numpy(bool)

    @staticmethod
    def encode(column, past, min_count):
        counts = past.value_counts()
        kept = counts.index[counts >= min_count]
        codes = pd.Series(np.arange(len(kept)) + FIRST, index=kept)
        return column.map(codes).fillna(UNKNOWN).to_numpy(np.int64), len(kept) + FIRST


class History:
    """The events of the year before a snapshot, a segment for each customer."""

    def __init__(self, events, date):
        self.events, self.snapshot = events, np.datetime64(date, "m").astype(np.int64)
        age = self.snapshot - events.minute
        self.rows = np.flatnonzero((age > 0) & (age <= YEAR))
        self.minute, self.age = events.minute[self.rows], age[self.rows] / DAY
        self.quantity = events.quantity[self.rows]
        self.amount = self.quantity * events.price[self.rows]
        self.christmas = events.christmas[self.rows]
        customer = events.customer[self.rows]
        self.start = np.flatnonzero(changes(customer))
        self.customers = customer[self.start]
        self.size = np.diff(np.r_[self.start, len(customer)])
        self.sample = np.repeat(np.arange(len(self.size)), self.size)

    def running(self, values):
        total = np.cumsum(values)
        return total - np.repeat(total[self.start] - values[self.start], self.size)

    def month(self):
        return int(pd.Timestamp(self.snapshot * 60, unit="s").month) - 1 + FIRST

    def steps(self, limit):
        """The newest steps: codes [S, 6], dense channels [S, 12], steps of each sample [n]."""
        events, rows = self.events, self.rows
        order = np.arange(len(rows)) - self.start[self.sample]
        visits = self.running((changes(self.minute) | (order == 0)).astype(np.int64))
        gap = np.where(order == 0, 0, np.diff(self.minute, prepend=0)) / DAY
        spent = self.running(np.abs(self.amount))
        returned = (self.quantity < 0).astype(float)
        span = np.maximum(self.age[self.start], 1)[self.sample]
        dense = [signed_log(self.quantity), np.log1p(events.price[rows].clip(0))]
        dense += [signed_log(self.amount), returned, np.log1p(gap), np.log1p(self.age)]
        dense += [np.log1p(total) for total in (spent, order, visits - 1, self.running(returned))]
        dense += [np.log1p(spent / visits), visits / span * 10]
        codes = [events.product[rows], events.country[rows]]
        codes += [part[rows] for part in events.calendar] + [np.full(len(rows), self.month())]
        newest = order >= self.size[self.sample] - limit
        lengths = np.minimum(self.size, limit)
        return np.stack(codes, 1)[newest], np.stack(dense, 1, dtype=np.float32)[newest], lengths

    def aggregates(self):
        """[n, 43], ln(1 + x)."""
        bought, n = self.quantity > 0, len(self.size)
        total = lambda values: np.add.reduceat(values.astype(float), self.start)
        sample, minute = self.sample[bought], self.minute[bought]
        first = changes(sample) | changes(minute)
        visit = pd.DataFrame({"sample": sample[first], "ago": (self.snapshot - minute[first]) / DAY})
        visit["gap"] = -visit.groupby("sample").ago.diff()
        columns = []
        for days in WINDOWS:
            recent = self.age < days
            columns.append(np.bincount(visit["sample"][visit.ago < days], minlength=n))
            columns.append(total(self.amount * (recent & bought)))
            columns += [total(recent & ~bought), total(recent)]
        by_sample = visit.groupby("sample")
        parts = [by_sample.ago.min(), by_sample.ago.max(), by_sample.gap.mean()]
        parts += [by_sample.gap.std(ddof=0), by_sample.gap.median(), by_sample.gap.last()]
        columns += [part.reindex(range(n)).fillna(NEVER).to_numpy() for part in parts]
        columns += [total(self.christmas), total(self.christmas & (self.age > 300))]
        year_ago = (self.age >= 305) & (self.age < 365)
        columns += [total(year_ago & bought), total(self.amount * (year_ago & bought))]
        columns.append(total(year_ago & self.christmas))
        return np.log1p(np.stack(columns, 1))

    def labels(self):
        """[n, 4] of what follows the snapshot."""
        events, n = self.events, len(self.customers)
        ahead = events.minute - self.snapshot
        rows = np.flatnonzero((ahead >= 0) & (ahead < 60 * DAY) & np.isin(events.customer, self.customers))
        sample = np.searchsorted(self.customers, events.customer[rows])
        quantity, bought = events.quantity[rows], events.quantity[rows] > 0
        spent = np.bincount(sample, quantity * events.price[rows] * bought, n)
        happens = lambda chosen: np.bincount(sample[chosen], minlength=n) > 0
        soon = bought & (ahead[rows] < 30 * DAY)
        tasks = [happens(soon), happens(quantity < 0), spent > 300, happens(bought & events.christmas[rows])]
        return np.stack(tasks, 1).astype(np.float32)


def changes(values):
    """Whether each value differs from the one before; the first does."""
    return np.r_[True, values[1:] != values[:-1]]


class Samples:
    """Samples of some snapshots: steps of all of them in one array, and what each has once."""

    def __init__(self, events, dates, limit):
        histories = [History(events, date) for date in dates]
        steps = [history.steps(limit) for history in histories]
        self.codes, self.dense, self.lengths = (np.concatenate(part) for part in zip(*steps))
        self.aggregates = np.concatenate([history.aggregates() for history in histories])
        self.labels = torch.from_numpy(np.concatenate([history.labels() for history in histories]))
        months = [np.full(len(history.size), history.month()) for history in histories]
        self.months = np.concatenate(months)
        self.ends = np.cumsum(self.lengths)

    def standardize(self, training):
        """Makes tensors of the arrays, dense values by the training samples' mean and deviation."""
        for name, source in training.items():
            mean, deviation = source
            values = (getattr(self, name) - mean) / deviation
            setattr(self, name, torch.from_numpy(values.astype(np.float32)))
        self.codes = torch.from_numpy(self.codes.astype(np.int32))
        last = self.codes[self.ends - 1, 1]
        months = torch.from_numpy(self.months.astype(np.int32))
        hidden = torch.full_like(months, MASK)
        self.last = torch.stack([hidden, last, months, hidden, hidden, months], 1)

    def moments(self):
        arrays = dict(dense=self.dense, aggregates=self.aggregates)
        return {name: (array.mean(0), array.std(0) + 1e-6) for name, array in arrays.items()}

    def batch(self, chosen):
        """Codes of each channel [B, T], dense channels [B, T, 55], which steps are real [B, T], labels [B, 4]."""
        lengths, ends = self.lengths[chosen], self.ends[chosen]
        steps = int(lengths.max())
        places = np.arange(-steps, 0)
        real = torch.from_numpy(places >= -lengths[:, None])
        rows = torch.from_numpy(np.maximum(ends[:, None] + places, 0).ravel())
        shape = (len(chosen), steps + 1)  # the last step stands for the snapshot
        chosen = torch.from_numpy(chosen)
        codes = torch.empty(*shape, self.codes.shape[1], dtype=torch.int32)
        codes[:, :-1] = self.codes.index_select(0, rows).view(*shape[:1], steps, -1) * real[..., None]
        codes[:, -1] = self.last[chosen]
        dense = torch.zeros(*shape, STEP_CHANNELS + AGGREGATES)
        dense[:, :-1, :STEP_CHANNELS] = self.dense.index_select(0, rows).view(*shape[:1], steps, -1)
        dense[:, :-1, :STEP_CHANNELS] *= real[..., None]
        dense[:, -1, STEP_CHANNELS:] = self.aggregates[chosen]
        real = F.pad(real, (0, 1), value=True)
        return codes.unbind(-1), dense, None if real.all() else real, self.labels[chosen]

    def epoch(self, size, random):
        order, batches = random.permutation(len(self.lengths)), []
        for first in range(0, len(order), size * POOL_BATCHES):
            alike = order[first : first + size * POOL_BATCHES]
            alike = alike[np.argsort(self.lengths[alike], kind="stable")]
            batches += [alike[i : i + size] for i in range(0, len(alike), size)]
        random.shuffle(batches)
        return map(self.batch, batches)

    def in_order(self, size):
        order = np.argsort(self.lengths, kind="stable")
        for first in range(0, len(order), size):
            yield order[first : first + size], self.batch(order[first : first + size])


class Model(nn.Module):
    """The encoder and a linear tower for each task on the maximum over steps."""

    def __init__(self, sizes, vocabularies):
        super().__init__()
        width = lambda rows: 16 if rows > 50 else 8
        tables = [nn.Embedding(rows, width(rows), padding_idx=0) for rows in vocabularies]
        self.encoder = Encoder(sizes, tables, STEP_CHANNELS + AGGREGATES)
        self.towers, self.dropout = nn.Linear(sizes.d_model, len(TASKS)), nn.Dropout(sizes.dropout)

    def forward(self, codes, dense, real):
        hidden, balance = self.encoder(codes, dense, real)
        return self.towers(self.dropout(pool(hidden, dense.shape[:2], real))), balance


def train(model, samples, sizes, random):
    """Sequences a second, the median of the epochs."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    total = math.ceil(len(samples.lengths) / sizes.batch) * sizes.finetune
    rate = lambda step: min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * min(1, step / total)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    seconds = []
    for _ in range(sizes.finetune):
        started = time.perf_counter()
        for codes, dense, real, labels in samples.epoch(sizes.batch, random):
            optimizer.zero_grad(set_to_none=True)
            scores, balance = model(codes, dense, real)
            loss = F.binary_cross_entropy_with_logits(scores, labels) + 0.01 * balance
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        seconds.append(time.perf_counter() - started)
    return len(samples.lengths) / np.median(seconds)


def areas(model, samples):
    scores = np.zeros((len(samples.lengths), len(TASKS)))
    model.eval()
    with torch.no_grad():
        for chosen, batch in samples.in_order(256):
            scores[chosen] = model(*batch[:3])[0].numpy()
    return [float(roc_auc_score(samples.labels[:, i], scores[:, i])) for i in range(len(TASKS))]


def command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    encoder_sizes(parser)
    parser.set_defaults(seq=129, d_ff=128, experts=4, dropout=0.1)
    parser.add_argument("--finetune", type=int, default=1, help="epochs")
    return parser.parse_args()


def main():
    sizes = command_line()
    torch.manual_seed(sizes.seed)
    torch.set_num_threads(sizes.threads)
    events = Events(DATA)
    months = pd.date_range("2010-04-01", "2011-05-01", freq="MS")
    training = Samples(events, months, sizes.seq - 1)
    test = Samples(events, ["2011-08-01", "2011-09-01", "2011-10-01"], sizes.seq - 1)
    moments = training.moments()
    training.standardize(moments)
    test.standardize(moments)
    model = Model(sizes, events.vocabularies)
    rate = train(model, training, sizes, np.random.default_rng(sizes.seed))
    area = areas(model, test)
    line = dict(program="torch " + torch.__version__, sequences_per_second=round(float(rate), 1))
    line |= dict(samples=[len(training.lengths), len(test.lengths)], mean_auc=round(sum(area) / len(area), 4))
    line |= dict(auc=dict(zip(TASKS, (round(a, 4) for a in area))), peak_mb=peak_mebibytes())
    print(json.dumps(line))


if __name__ == "__main__":
    main()
