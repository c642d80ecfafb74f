#!/bin/sh
# The first process of the virtual machine: puts this system's files in place, with a layer of memory above them, loads the
# cameras and runs the scenarios.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in virtio_pci 9pnet_virtio 9p overlay; do modprobe $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host
mount -t tmpfs changes /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work root /new
for folder in proc sys dev; do mount -o bind /$folder /new/$folder; done
mkdir -p /new/dev/shm /new/dev/pts
mount -t tmpfs shm /new/dev/shm
mount -t tmpfs run /new/run
ip link set lo up
# The first one has a node of metadata and an output beside its camera.
modprobe vivid n_devs=2 node_types=0x20101,0x1 num_inputs=1,1 input_types=0x0,0x0 no_error_inj=0 \
    vid_cap_nr=0,1 vid_out_nr=20 meta_cap_nr=30
modprobe v4l2loopback devices=2 video_nr=10,11 exclusive_caps=1,1 card_label=Jpeg,Coded

value() {
    for word in $(cat /proc/cmdline); do
        case $word in "$1="*) echo "${word#*=}" ;; esac
    done
}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
/bin/chroot /new "$(value framekeeper.script)" "$(value framekeeper.bin)" "$(value framekeeper.work)" \
    >/dev/ttyS1 2>/dev/ttyS0 || echo "the scenarios ended with status $?" >/dev/ttyS0
/bin/poweroff -f
