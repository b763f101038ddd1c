"""A board's counter and power, read a thousand times a second, and what follows from the readings."""

import statistics
import threading
import time

from nvml import NvmlError

INTERVAL_SEC = 1e-3
# Averaging lengths that are tried, in seconds.
LENGTHS_SEC = [0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.25, 1.5, 2]
# What a trace takes for the averaging to be found: the longest of them, and some to compare.
SHORTEST_SEC = LENGTHS_SEC[-1] + 2


class Trace(threading.Thread):
    """Reads one board until it is stopped. Each reading is a moment of CLOCK_MONOTONIC, joules, instant and usual watts."""

    def __init__(self, gpu):
        super().__init__(daemon=True)
        self.gpu = gpu
        self.readings = []
        self.has_ended = threading.Event()
        self.error = None

    def run(self):
        due = time.monotonic()
        while not self.has_ended.is_set():
            begun = time.monotonic()
            try:
                energy_j, instant_w, usage_w = self.gpu.energy_j(), self.gpu.instant_w(), self.gpu.usage_w()
            except NvmlError as error:
                self.error = error
                return
            ended = time.monotonic()
            self.readings.append(((begun + ended) / 2, energy_j, instant_w, usage_w))
            due = max(due + INTERVAL_SEC, ended)
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self):
        """Ends the reading; raises what NVML refused."""
        self.has_ended.set()
        self.join()
        if self.error:
            raise self.error
        return self


def of(gpu, seconds):
    """Returns the trace of a board over some time."""
    trace = Trace(gpu)
    trace.start()
    time.sleep(seconds)
    return trace.stop()


def rate_hz(readings):
    return (len(readings) - 1) / (readings[-1][0] - readings[0][0])


def between(readings, start, end):
    return [reading for reading in readings if start <= reading[0] <= end]


def integral_j(readings):
    """Returns the integral of instant power by trapezoids."""
    pairs = zip(readings, readings[1:])
    return sum((right[0] - left[0]) * (left[2] + right[2]) / 2 for left, right in pairs)


def counter_against_integral(readings):
    """Returns both energies, in joules, from the first move of the counter to its last, so that its refresh takes no part."""
    moves = [right for left, right in zip(readings, readings[1:]) if left[1] != right[1]]
    if len(moves) < 3:
        raise ValueError(f"the counter moved {len(moves)} times in {readings[-1][0] - readings[0][0]:.1f} s")
    first, last = moves[0], moves[-1]
    return last[1] - first[1], integral_j(between(readings, first[0], last[0]))


def refresh_ms(readings, column):
    """Returns the median time between two moves of a reading in milliseconds; None where it moved less than ten times."""
    moments = [right[0] for left, right in zip(readings, readings[1:]) if left[column] != right[column]]
    if len(moments) < 10:
        return None
    return statistics.median(right - left for left, right in zip(moments, moments[1:])) * 1e3


def averaging_sec(readings):
    """Returns the length over which `nvmlDeviceGetPowerUsage` averages: that which instant power, averaged so, fits best.

    None where instant power is too even to tell."""
    watts = [reading[2] for reading in readings]
    if statistics.pstdev(watts) < 0.03 * statistics.fmean(watts):
        return None
    sums = [0.0]
    for left, right in zip(readings, readings[1:]):
        sums.append(sums[-1] + (right[0] - left[0]) * (left[2] + right[2]) / 2)
    start = readings[0][0] + LENGTHS_SEC[-1]
    if readings[-1][0] < start + 1:
        return None
    return min(LENGTHS_SEC, key=lambda length: misfit(readings, sums, start, length))


def misfit(readings, sums, start, length_sec):
    """Returns the mean square of what is left where instant power is averaged over a length."""
    left, total, count = 0, 0.0, 0
    for index, (moment, _, instant_w, usage_w) in enumerate(readings):
        while readings[left][0] < moment - length_sec:
            left += 1
        if moment < start:
            continue
        span = moment - readings[left][0]
        mean_w = (sums[index] - sums[left]) / span if span > 0 else instant_w
        total += (mean_w - usage_w) ** 2
        count += 1
    return total / count


def spread_j(readings):
    """Returns the joules by which an integral over a window may be off for the refresh of instant power alone: a reading is up to
    one refresh old, at either end."""
    watts = [reading[2] for reading in readings]
    return (refresh_ms(readings, 2) or 0.0) / 1e3 * (max(watts) - min(watts))


def energy_between(readings, start, end):
    """Returns the integral of instant power over a window; None where it was not read throughout."""
    within = between(readings, start, end)
    if len(within) < 10 or readings[0][0] > start or readings[-1][0] < end:
        return None
    return integral_j(within) + (within[0][0] - start) * within[0][2] + (end - within[-1][0]) * within[-1][2]
