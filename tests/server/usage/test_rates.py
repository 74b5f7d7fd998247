"""The generic cell rate algorithm against its definition, and between processes."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from auth.models import Rate
from server.usage.rates import SharedRateLimiter

ROOT = Path(__file__).parents[3]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@settings(max_examples=80, deadline=None)
@given(
    per_second=st.sampled_from([0.5, 1.0, 3.0, 50.0]),
    burst=st.integers(1, 20),
    asks=st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0, 3), st.sampled_from([0.1, 1.0, 4.0])), max_size=60
    ),
)
def test_it_lets_through_what_a_bucket_that_refills_would(per_second, burst, asks):
    clock = Clock()
    limiter = SharedRateLimiter(None, clock)
    rate = Rate(per_second=per_second, burst=burst)
    full, seen = dict.fromkeys("ab", float(burst)), dict.fromkeys("ab", clock.now)
    for subject, pause, cost in asks:
        clock.now += pause
        full[subject] = min(burst, full[subject] + (clock.now - seen[subject]) * per_second)
        seen[subject] = clock.now
        wait = limiter.take(subject, rate, cost)
        needed = min(cost, burst)
        if wait == 0.0:
            assert full[subject] >= needed - 1e-6
            full[subject] -= needed
        else:
            assert full[subject] < needed + 1e-6
            assert abs(wait - (needed - full[subject]) / per_second) < 1e-6
    limiter.close()


def test_after_the_wait_it_lets_through():
    clock = Clock()
    limiter = SharedRateLimiter(None, clock)
    rate = Rate(per_second=2, burst=1)
    assert limiter.take("a", rate) == 0.0
    wait = limiter.take("a", rate)
    assert 0 < wait <= 0.5
    clock.now += wait
    assert limiter.take("a", rate) == 0.0
    limiter.close()


def test_what_is_given_back_can_be_taken():
    limiter = SharedRateLimiter(None, Clock())
    rate = Rate(per_second=1, burst=2)
    assert limiter.take("a", rate, 2) == 0.0
    assert limiter.take("a", rate, 1) > 0
    limiter.give_back("a", rate, 2)
    limiter.give_back("never taken", rate, 2)
    assert limiter.take("a", rate, 2) == 0.0
    limiter.close()


def test_many_subjects_do_not_disturb_each_other():
    limiter = SharedRateLimiter(None, Clock())
    rate = Rate(per_second=1, burst=1)
    for number in range(3000):
        assert limiter.take(f"subject {number}", rate) == 0.0
    assert sum(limiter.take(f"subject {number}", rate) > 0 for number in range(3000)) == 3000
    limiter.close()


TAKER = """
import sys
from pathlib import Path
from auth.models import Rate
from server.usage.rates import SharedRateLimiter
limiter = SharedRateLimiter(Path(sys.argv[1]))
rate = Rate(per_second=0.0001, burst=300)
print(sum(limiter.take("key:x", rate) == 0.0 for _ in range(200)))
"""


def test_all_processes_together_get_one_burst(tmp_path):
    takers = [
        subprocess.Popen([sys.executable, "-c", TAKER, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert sum(int(taker.communicate(timeout=60)[0]) for taker in takers) == 300
