"""The on-demand machine of one path, the same for a publisher started by a hook and for a camera that is pulled.

A reader that finds no stream starts a cycle and is held. The four states and what leads from one to the other are the
real server's, with their sharp edges: the close timer is armed when the publisher arrives, before any reader has
joined; and a reader that comes back while the timer of a lost publisher runs is held with no timer and no new start.
"""
import asyncio
import enum

from .gotypes import SECOND


class State(enum.Enum):
    """INITIAL -> WAITING (a reader found no stream) -> CLOSING (the source came) <-> READY (a reader joined, the last
    one left) -> INITIAL (close-after or the start timeout has passed, or the source failed)."""

    INITIAL = "initial"
    WAITING = "waiting"
    READY = "ready"
    CLOSING = "closing"


class Demand:
    """Timers and state. What starting, stopping and timing out mean is given by the path."""

    def __init__(self, start, stop, timed_out, start_timeout, close_after):
        self._start = start
        self._stop = stop
        self._timed_out = timed_out
        self.start_timeout = start_timeout
        self.close_after = close_after
        self.state = State.INITIAL
        self._start_timer = None
        self._close_timer = None

    def reader_found_nothing(self, query):
        """A reader is about to be held."""
        if self.state is State.INITIAL:
            self._start(query)
            self._start_timer = after(self.start_timeout, self._timed_out)
            self.state = State.WAITING

    def source_came(self):
        cancel(self._start_timer)
        self._arm_close()

    def reader_joined(self):
        if self.state is State.CLOSING:
            cancel(self._close_timer)
            self.state = State.READY

    def last_reader_left(self):
        if self.state is State.READY:
            self._arm_close()

    def stop(self, reason):
        cancel(self._close_timer)
        self.state = State.INITIAL
        self._stop(reason)

    def cancel_timers(self):
        cancel(self._start_timer)
        cancel(self._close_timer)

    def _arm_close(self):
        cancel(self._close_timer)
        self._close_timer = after(self.close_after, self._close_after_passed)
        self.state = State.CLOSING

    def _close_after_passed(self):
        self.stop("not needed by anyone")


def after(nanoseconds, action):
    # Zero and negative durations are due at once.
    return asyncio.get_running_loop().call_later(max(nanoseconds, 0) / SECOND, action)


def cancel(timer):
    if timer:
        timer.cancel()
