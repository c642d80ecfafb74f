"""Commands that the server runs: `runOnDemand` and its kin.

No shell: the line is split into words, then `$NAME` in each word is replaced by the server. Each command is the leader
of its own process group, is asked to stop with one SIGINT to that group, and is never killed, so a command that ignores
the signal lives on and holds up the server's own end. Exit codes are lost, as in the real server.
"""
import asyncio
import os
import shlex
import signal
import subprocess

from .gotypes import expanded

RESTART_PAUSE_SECONDS = 5.0


class HookPool:
    """All commands that are running; the end of the server waits for them."""

    def __init__(self):
        self.tasks = set()

    def start(self, line, environment, restart=False, on_exit=None):
        return Hook(self, line, environment, restart, on_exit)

    async def wait(self):
        while self.tasks:
            await asyncio.wait(self.tasks)


class Hook:
    """One command, started on creation and, with `restart`, again after each exit."""

    def __init__(self, pool, line, environment, restart, on_exit):
        self.line = line
        self.environment = environment
        self.restart = restart
        self.on_exit = on_exit or (lambda text: None)
        self.stopped = asyncio.Event()
        self.process = None
        self.task = asyncio.get_running_loop().create_task(self._run())
        pool.tasks.add(self.task)
        self.task.add_done_callback(pool.tasks.discard)

    def stop(self):
        """Ask the command to end. Does not wait."""
        self.stopped.set()
        if self.process and self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGINT)
            except ProcessLookupError:
                pass

    async def _run(self):
        while not self.stopped.is_set():
            failure = await self._run_once()
            if self.stopped.is_set():
                return
            if failure or self.restart:
                self.on_exit(failure or "command exited with code 0")
            if not self.restart:
                return
            try:
                await asyncio.wait_for(self.stopped.wait(), RESTART_PAUSE_SECONDS)
            except asyncio.TimeoutError:
                pass

    async def _run_once(self):
        """Run the command to its end; the text says why it could not be started."""
        try:
            words = [expanded(word, self._variable) for word in shlex.split(self.line)]
            self.process = subprocess.Popen(
                words, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, process_group=0)
        except FileNotFoundError:
            return f'exec: "{words[0]}": executable file not found in $PATH'
        except (OSError, ValueError, IndexError) as error:
            return str(error)
        await ended(self.process)
        return None

    def _variable(self, name):
        return self.environment.get(name, os.environ.get(name, ""))


async def ended(process):
    """Wait for a child without a thread: its pidfd becomes readable when it has exited."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(process.pid)
    exited = loop.create_future()
    loop.add_reader(descriptor, lambda: exited.done() or exited.set_result(None))
    try:
        await exited
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.wait()
