"""Values over time, in a bounded number of buckets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

__all__ = ["BUCKETS_MAX", "Bucket", "Series"]

BUCKETS_MAX = 512
_NARROWEST = 0.25
_FINENESS = 20
"""The bins for each factor of ten in a bucket's sketch. A quantile is at most 12 % off, which is enough for a plot."""


@define(kw_only=True)
class Bucket:
    """The values of one stretch of time, with a sketch of their distribution."""

    count: int = 0
    total: float = 0.0
    max: float = -math.inf
    bins: dict[int, int] = field(factory=dict)

    def add(self, value: float) -> None:
        """One more value."""
        self.count += 1
        self.total += value
        self.max = max(self.max, value)
        if value > 0:
            bin_ = math.floor(math.log10(value) * _FINENESS)
            self.bins[bin_] = self.bins.get(bin_, 0) + 1

    def merge(self, other: Bucket) -> None:
        """Add the values of another bucket."""
        self.count += other.count
        self.total += other.total
        self.max = max(self.max, other.max)
        for bin_, count in other.bins.items():
            self.bins[bin_] = self.bins.get(bin_, 0) + count

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return self.total / self.count

    def quantile(self, fraction: float) -> float:
        """The approximate quantile, never above the greatest value."""
        wanted = fraction * self.count - (self.count - sum(self.bins.values()))
        if wanted <= 0:
            return min(0.0, self.max)
        for bin_ in sorted(self.bins):
            wanted -= self.bins[bin_]
            if wanted <= 0:
                return min(10 ** ((bin_ + 1) / _FINENESS), self.max)
        return self.max


@define(kw_only=True)
class Series:
    """Values over time (seconds since the epoch). In a long run, neighbouring buckets are joined.

    Buckets lie at whole multiples of their width, the same in every process, so series merge without loss.
    """

    width: float = _NARROWEST
    buckets: dict[int, Bucket] = field(factory=dict)

    def add(self, at: float, value: float) -> None:
        """Add a value; ValueError if it or its time is not a number."""
        if not (math.isfinite(at) and math.isfinite(value)):
            message = f"a value of {value} at {at}; expected finite numbers. Leave out what was not measured"
            raise ValueError(message)
        place = math.floor(at / self.width)
        bucket = self.buckets.get(place)
        if bucket is None:
            bucket = self.buckets[place] = Bucket()
            bucket.add(value)
            self._bound()
        else:
            bucket.add(value)

    def merge(self, other: Series) -> None:
        """Add the values of another series, at the larger width of both."""
        while self.width < other.width:
            self._coarsen()
        factor = round(self.width / other.width)
        for place, bucket in other.buckets.items():
            self.buckets.setdefault(place // factor, Bucket()).merge(bucket)
        self._bound()

    def _bound(self) -> None:
        while self.buckets and max(self.buckets) - min(self.buckets) >= BUCKETS_MAX:
            self._coarsen()

    def _coarsen(self) -> None:
        self.width *= 2
        finer, self.buckets = self.buckets, {}
        for place, bucket in finer.items():
            self.buckets.setdefault(place // 2, Bucket()).merge(bucket)

    def points(self) -> Iterator[tuple[float, Bucket]]:
        """(middle of the bucket, bucket) in order of time; empty buckets are left out."""
        for place in sorted(self.buckets):
            yield (place + 0.5) * self.width, self.buckets[place]

    def rates(self) -> Iterator[tuple[float, float]]:
        """(middle of the bucket, sum of its values per second) in order of time; empty buckets are 0."""
        if self.buckets:
            for place in range(min(self.buckets), max(self.buckets) + 1):
                bucket = self.buckets.get(place)
                yield (place + 0.5) * self.width, bucket.total / self.width if bucket else 0.0

    def statistics(self) -> dict[str, float]:
        """`count`, `mean`, `max` and `last` (the mean of the last bucket); empty if nothing was added."""
        if not self.buckets:
            return {}
        count = sum(bucket.count for bucket in self.buckets.values())
        return {
            "count": count,
            "mean": sum(bucket.total for bucket in self.buckets.values()) / count,
            "max": max(bucket.max for bucket in self.buckets.values()),
            "last": self.buckets[max(self.buckets)].mean,
        }

    def to_json(self) -> dict[str, Any]:
        """All values as JSON, for another process."""
        rows = [
            [place, bucket.count, bucket.total, bucket.max, sorted(bucket.bins.items())]
            for place, bucket in sorted(self.buckets.items())
        ]
        return {"width": self.width, "buckets": rows}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Series:
        """Read the result of `to_json`."""
        buckets = {
            place: Bucket(count=count, total=total, max=greatest, bins=dict(bins))
            for place, count, total, greatest, bins in record["buckets"]
        }
        return cls(width=record["width"], buckets=buckets)
