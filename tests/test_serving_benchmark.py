"""What the benchmark of a site makes of a log of requests."""

import pytest

from benchmarks.serving import figures, percentile, table
from lab.say import LabError


def test_log_gives_rate_failures_and_latencies():
    # From the first start, 1 µs, until the last one, at 9,900,001 µs, has its answer
    log = "\n".join([*(f"{at}\t200\t{1000 * at}" for at in range(1, 100)), "9900001\t200\t100000", "6\t502\t10"])
    assert figures(log) == (10.0, 1, 51.0, 100.0, 100.0)


def test_run_without_an_answer_is_no_result():
    with pytest.raises(LabError, match="no request was answered 200"):
        figures("1\t502\t3\n")


@pytest.mark.parametrize(("share", "value"), [(0.5, 3), (0.99, 4), (0.0, 1)])
def test_percentile_is_a_value_that_was_measured(share, value):
    assert percentile([1, 2, 3, 4], share) == value


def test_table_has_medians_and_the_spread_of_rates():
    one = {"target": "the site", "protocol": "HTTP/2", "failed": 0, "p50": 1.0, "p99": 2.0, "p999": 3.0}
    text = table([{**one, "rate": rate} for rate in (900.0, 1000.0, 1500.0)])
    assert text.splitlines()[2:] == ["| HTTP/2 | the site | 1,000 (900 to 1,500) | 1.0 ms | 2.0 ms | 3.0 ms | 0 |"]
