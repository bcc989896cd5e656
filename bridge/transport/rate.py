"""How often one user may connect: a bucket of tokens for each, filled as time goes by."""

from typing import Final, final

from policy.configuration import Rate

MANY: Final = 1024  # buckets; more are looked through for those that are full again


@final
class Bucket:
    """What one user has left at a time, and how often it was refused."""

    def __init__(self, tokens: float, now: float) -> None:
        self.tokens = tokens
        self.filled = now
        self.refused = 0

    def fill(self, rate: Rate, now: float) -> None:
        """As much as the time since the last call is worth, up to the burst."""
        self.tokens = min(rate.burst, self.tokens + (now - self.filled) * rate.per_second)
        self.filled = now


@final
class Doorkeeper:
    """Admits connections at a rate. Without one it admits all."""

    def __init__(self, rate: Rate | None) -> None:
        self.rate = rate
        self.buckets: dict[int | None, Bucket] = {}
        self.many = MANY

    def adopt(self, rate: Rate | None) -> None:
        """Another rate holds. What was used is forgotten only if it is really another."""
        if rate != self.rate:
            self.rate = rate
            self.buckets.clear()

    def refuses(self, uid: int | None, now: float) -> int:
        """0 if one more connection of this user may come, else how often none might."""
        if self.rate is None:
            return 0
        bucket = self.buckets.get(uid)
        if bucket is None:
            self.forget_the_full(self.rate, now)
            bucket = self.buckets[uid] = Bucket(self.rate.burst, now)
        bucket.fill(self.rate, now)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        bucket.refused += 1
        return bucket.refused

    def forget_the_full(self, rate: Rate, now: float) -> None:
        """Who has not come for long is like one who never came."""
        if len(self.buckets) < self.many:
            return
        for bucket in self.buckets.values():
            bucket.fill(rate, now)
        self.buckets = {
            uid: bucket for uid, bucket in self.buckets.items() if bucket.tokens < rate.burst
        }
        # Not for each who comes, if many are not full: a user can have 65,536 numbers of others
        # (subuid(5)), and come with all of them.
        self.many = max(MANY, 2 * len(self.buckets))
