"""Log lines in the real server's form: `2026/11/23 09:10:50 INF [RTSP] started with listeners on …`."""
import sys
import time

LEVELS = {"debug": (0, "DEB"), "info": (1, "INF"), "warn": (2, "WAR"), "error": (3, "ERR")}


class Log:
    """Where lines go and which. One for the whole process; `configure` follows a change of the settings."""

    def __init__(self):
        self.least = 0
        self.stdout = True
        self.file = None

    def configure(self, settings):
        self.least = LEVELS[settings["logLevel"]][0]
        self.stdout = "stdout" in settings["logDestinations"]
        if self.file:
            self.file.close()
            self.file = None
        if "file" in settings["logDestinations"]:
            self.file = open(settings["logFile"], "a", encoding="utf-8")

    def write(self, level, text):
        number, name = LEVELS[level]
        if number < self.least:
            return
        line = f"{time.strftime('%Y/%m/%d %H:%M:%S')} {name} {text}\n"
        for stream in (sys.stdout if self.stdout else None, self.file):
            try:
                if stream:
                    stream.write(line)
                    stream.flush()
            except OSError:
                # Whoever read the log may have gone; that is no reason to end the server.
                pass

    def debug(self, text):
        self.write("debug", text)

    def info(self, text):
        self.write("info", text)

    def warn(self, text):
        self.write("warn", text)

    def error(self, text):
        self.write("error", text)


class PrefixedLog:
    """A part's view of the log: every line begins with the part's name."""

    def __init__(self, parent, prefix):
        self.parent = parent
        self.prefix = prefix

    def write(self, level, text):
        self.parent.write(level, f"{self.prefix} {text}")

    debug, info, warn, error = Log.debug, Log.info, Log.warn, Log.error
