# Disks: where they are and what is on them.
# shellcheck shell=bash

# block_device BUSPATH: the block device of a USB disk whose medium is ready.
block_device() {
    local folder
    for folder in "/sys/bus/usb/devices/$1/$1:"*/host*/target*/*:*/block/*; do
        if [[ -e $folder/size && $(<"$folder/size") -gt 0 ]]; then
            echo "/dev/${folder##*/}"
            return
        fi
    done
    return 1
}

# disk_ready BUSPATH waits for it and leaves it in $disk.
disk_ready() {
    wait_for 10 "the kernel has the disk at $1" block_device "$1"
    disk=$(block_device "$1")
}

# checksum FILE: sha256 of a file or a whole disk, past the page cache.
checksum() {
    local flags=()
    if [[ -b $1 ]]; then flags=(iflag=direct); fi
    dd if="$1" bs=1M "${flags[@]}" status=none | sha256sum | cut -d ' ' -f 1
}

# disk_work DISK: a file system is made, written with 200 files (fewer on a slower machine), checked and found in order.
disk_work() {
    local disk=$1 mount=/mnt/disk-work count=$((200 / LAB_SLOWER)) sums
    mkfs.ext4 -q -F "$disk"
    mkdir -p "$mount"
    mount "$disk" "$mount"
    lab-tool write-files "$mount" "$count"
    sums=$(cd "$mount" && sha256sum file-* | sort)
    umount "$mount"
    e2fsck -fn "$disk" >/dev/null 2>&1 || fail "e2fsck finds $disk damaged"
    mount -o ro "$disk" "$mount"
    expect_equal "the $count files read back" "$sums" "$(cd "$mount" && sha256sum file-* | sort)"
    umount "$mount"
}
