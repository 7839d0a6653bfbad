# From the first root file system to a tmpfs.
set -e
mkdir /new
mount -t tmpfs -o size=400m tmpfs /new
for name in bin etc sbin usr vm root; do
    cp -a /$name /new/
done
mkdir /new/dev /new/proc /new/sys /new/tmp /new/run /new/var
for name in dev proc sys run; do
    mount --move /$name /new/$name
done
cd /new
mount --move . /
exec chroot . /bin/busybox sh /bin/containers.sh
