"""Sees the configuration file change, by inotify on its folder.

Polling would not do: a touch and a write of the same length look alike to it, and only the second is a change. A write
that falls within a second of the last reload is ignored and not looked at later, as in the real server.
"""
import asyncio
import ctypes
import os
import struct
import time

SECONDS_BETWEEN_RELOADS_MIN = 1.0
WRITER_GRACE_SECONDS = 0.010
IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_MOVED_FROM = 0x2, 0x80, 0x100, 0x200, 0x40
EVENT = struct.Struct("iIII")
READ_BYTES = 65536


class FileWatch:
    """Calls `changed`, a coroutine function, when the file was written or put in place; one call at a time."""

    def __init__(self, path, changed):
        self.path = os.path.abspath(path)
        self.changed = changed
        self.target = os.path.realpath(self.path)
        self.last_reload = -SECONDS_BETWEEN_RELOADS_MIN
        self.readable = asyncio.Event()
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM
        folder = os.path.dirname(self.path)
        if self.descriptor < 0 or libc.inotify_add_watch(self.descriptor, os.fsencode(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {folder}")
        self._listen()
        self.task = asyncio.get_running_loop().create_task(self._run())

    def close(self):
        self.task.cancel()
        asyncio.get_running_loop().remove_reader(self.descriptor)
        os.close(self.descriptor)

    def _listen(self):
        asyncio.get_running_loop().add_reader(self.descriptor, self._wake)

    def _wake(self):
        # Not listened to until it has been read, so that events that come during a reload do not spin the loop.
        asyncio.get_running_loop().remove_reader(self.descriptor)
        self.readable.set()

    async def _run(self):
        while True:
            await self.readable.wait()
            self.readable.clear()
            # Each event is judged by the time at which it is read: those that came while a reload went on are dropped.
            for mask, name in self._events():
                if time.monotonic() - self.last_reload >= SECONDS_BETWEEN_RELOADS_MIN and self._concerns(mask, name):
                    await asyncio.sleep(WRITER_GRACE_SECONDS)
                    self.last_reload = time.monotonic()
                    await self.changed()

    def _events(self):
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            data = b""
        self._listen()
        position = 0
        while position < len(data):
            _, mask, _, length = EVENT.unpack_from(data, position)
            position += EVENT.size
            yield mask, os.fsdecode(data[position:position + length].rstrip(b"\0"))
            position += length

    def _concerns(self, mask, name):
        """Whether the event means a new content. The file may be a link whose target is exchanged."""
        if not os.path.exists(self.path):
            self.target = None
            return False
        target, previous = os.path.realpath(self.path), self.target
        self.target = target
        touched = os.path.realpath(os.path.join(os.path.dirname(self.path), name))
        written = mask & (IN_MODIFY | IN_MOVED_TO | IN_CREATE)
        return target != previous or bool(written and touched == target)
