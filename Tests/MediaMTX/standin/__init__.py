"""The parts of the MediaMTX stand-in. `mediamtx`, one folder up, starts `core.main`; its docstring says what this is.

From the outside in: `core` owns the process and its configuration; `api` and `metrics` answer over `web`; `rtsp` talks
to publishers and readers, `pull` to cameras; `paths` holds the streams and `demand` the on-demand machine; `hooks` runs
commands; `settings` and `schema` read configuration; `watch` sees the file change.
"""
