#!/bin/bash
# Runs a command where emulated cameras are the only video devices: run.sh PLUGINS DEVICES COMMAND…
#
#   PLUGINS  a folder with the built plugin, which takes the place of libv4l's own plugins
#   DEVICES  a folder that becomes /dev: video0, …, v4l/by-id/…
#
# In a mount namespace of its own: nothing outside changes, but for empty files that are put into DEVICES. Wants root, or
# a kernel that lets users have namespaces.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
    map=()
    [ "$(id -u)" -eq 0 ] || map=(--map-root-user)
    exec unshare "${map[@]}" --mount -- "${BASH_SOURCE[0]}" --inside "$@"
fi
shift
plugins=$1 devices=$2
shift 2

mount --bind "$plugins" "$(pkg-config --variable=libdir libv4l2)/libv4l/plugins"
for name in null zero full random urandom tty; do
    touch "$devices/$name"
    mount --bind "/dev/$name" "$devices/$name"
done
mkdir -p "$devices/shm"
mount --bind /dev/shm "$devices/shm"
ln -sfn /proc/self/fd "$devices/fd"
mount --rbind "$devices" /dev
exec "$@"
