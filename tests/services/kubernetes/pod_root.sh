#!/bin/bash
# pod_root.sh FOLDER CONFIG USER HOME COMMAND...: this machine's files as a pod's read-only root, /config from the
# folder CONFIG, /tmp and HOME its only writable places, and COMMAND as USER in it. Runs in namespaces of its own.
set -eu
folder=$1 config=$2 user=$3 home=$4; shift 4
mount --make-rprivate /
mount -t tmpfs pod "$folder"
mkdir "$folder"/{upper,work,root}
mount -t overlay pod -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
root=$folder/root
mkdir -p "$root/config" "$root$home"
cp "$config"/* "$root/config/"
# An image's interpreter is readable to all; this machine's may lie in somebody's home.
for path in $OPEN; do chmod a+rx "$root$path"; done
mount -o remount,ro "$root"
mount -t tmpfs -o "mode=1777" pod "$root/tmp"
mount -t tmpfs -o "uid=$user,gid=$user" pod "$root$home"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Told to die with its starter after its user has changed: a change of user forgets that.
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --pdeathsig KILL "$@"
