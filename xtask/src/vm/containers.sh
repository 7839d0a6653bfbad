# Containers as a user starts them. Each line that fails ends the script with its number.
fail() {
    echo "containers.sh: $*" >&2
    exit 1
}
is() {
    [ "$1" = "$2" ] || fail "expected \`$2\`, got \`$1\`"
}

insmod /bin/loop.ko && insmod /bin/overlay.ko || fail "the modules can't be loaded"
mkdir -p /var/lib/corten /tree/bin
mount -o loop /bin/disk.ext4 /var/lib/corten || fail "the disk can't be mounted"

corten run --rm hello || fail "hello"

cp /bin/busybox /tree/bin/
for applet in cat grep id ls sh sleep touch true; do
    ln -s busybox /tree/bin/$applet
done
tar -C /tree -c . | corten import - busybox || fail "import"

# Limits of cgroup v2, seen from inside, and files that are made there.
limits=$(corten run --rm -m 64m --cpus 0.5 --pids-limit 50 busybox sh -c \
    'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max; touch /file && ls /file')
is "$(echo $limits)" "67108864 50 50000 100000 /file"
is "$(corten run --rm busybox sh -c 'touch /sys/fs/cgroup/x 2>/dev/null || echo read-only')" read-only
is "$(corten run --rm busybox id -u)" 0
is "$(corten run --rm busybox grep -c 4294967295 /proc/self/uid_map)" 0

corten run --rm busybox sh -c 'exit 3'
is $? 3
warnings=$(corten run --rm busybox true 2>&1)
is "$warnings" ""

# A service: its group, an exec, its end, and nothing left.
corten run -d --name web -v data:/data busybox sleep 1000 || fail "run -d"
is "$(corten exec web id -u)" 0
group=$(echo /sys/fs/cgroup/corten/*/payload)
is "$(grep -c . "$group/cgroup.procs")" 1
corten stop -t 1 web && corten rm web || fail "stop, rm"
is "$(corten system check)" clean
is "$(ls -d /sys/fs/cgroup/corten/*/payload 2>/dev/null)" ""

is "$(corten run --rm --privileged busybox grep -c 4294967295 /proc/self/uid_map)" 1
is "$(corten run --rm --device /dev/null:/dev/mine busybox sh -c 'cat /dev/mine; ls /dev/mine')" /dev/mine
corten run --rm -m 8m busybox sh -c 'cat /dev/zero > /dev/shm/file' 2>/dev/null
is $? 137
echo "containers.sh: all is as it should be"
