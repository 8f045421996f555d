"""Which dead letters are kept when only the newest are asked for."""

import random

from letters import letter

from flows.admin.dead_letters.topic import Newest


def test_the_newest_of_all_partitions_are_kept_whatever_the_order_of_reading() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        letters = [letter(n, partition=n % 3, time=rng.randrange(30)) for n in range(40)]
        ordered = sorted(letters, key=lambda each: (each.time, each.partition, each.offset))
        for most in (0, 1, 7, 40, 50):
            newest = Newest(most)
            for each in rng.sample(letters, len(letters)):
                newest.add(each)
            assert newest.letters() == (ordered[-most:] if most else ordered)
            assert newest.left_out == (max(0, 40 - most) if most else 0)
