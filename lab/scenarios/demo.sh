#!/bin/bash
# title: what p2pusb does, shown step by step
# machines: uml
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# tell TEXT... is for whoever watches.
tell() {
    printf '\n%s\n' "$*" | fold -s -w 100
}

# show NAME COMMAND... runs a command on a host and shows both.
show() {
    local name=$1 word line=
    shift
    for word in "$@"; do
        if [[ $word == *' '* ]]; then word="'$word'"; fi
        line+=" $word"
    done
    printf '  %s #%s\n' "$(host_name "$name")" "$line"
    { on "$name" "$@" 2>&1; } | sed 's/^/  | /'
}

tell "This is Linux $(uname -r), started just now on this machine's own files. Nothing that happens here is kept. \
It plays two machines that know nothing of each other: host-a has a USB stick, host-b would like to use it. \
Between them is a network cable of 20 ms round trip, and nothing else: no server, no relay, no internet."
host_start A exporter
host_start B importer
net_delay 20ms
gadget_disk disk 64M
usb=$(device_path disk)
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage

tell 'p2pusbd runs on both. host-a has this:'
show A p2pusb list

tell "host-a offers the stick to whomever it trusts, which is nobody yet, and writes an invitation:"
show A p2pusb share "$usb"
ticket=$(on A p2pusb invite 2>/dev/null)
printf '  host-a # p2pusb invite\n  | %s\n' "$ticket"

tell 'The invitation works once, for ten minutes. Somebody carries it to host-b:'
show B p2pusb pair "$ticket"
wait_for 10 'B is offered the disk' offered B A 'Lab disk'

tell 'Now host-b sees what host-a offers, and uses it:'
show B p2pusb list
show B p2pusb attach 'Lab disk'
attached=$(attached_path B)
disk_ready "$attached"
wait_for 5 'B names the disk' on B test -e "$disk"

tell "For host-b's kernel this is a USB stick like any other. Its usual driver found a disk, $disk:"
show B lsblk -o NAME,SIZE,TRAN,VENDOR,MODEL "$disk"
show B p2pusb status

tell 'host-b makes a file system on it, writes 200 files, takes it off, checks it:'
disk_work "$disk"
echo '  200 files written, read back and compared; e2fsck finds nothing wrong.'

tell 'How fast it reads over those 20 ms (with a real clock, encrypted; everything shares one simulated CPU here):'
show B lab-tool disk-read "$disk" 4194304 1048576

tell "host-b gives the stick back, host-a's kernel takes it again:"
show B p2pusb detach 'Lab disk'
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
theirs=$disk
disk_ready "$usb"
show A p2pusb status

tell "Is every byte that host-b wrote to $theirs on the stick in host-a?"
stick=$(checksum "$(gadget_file disk)")
seen=$(checksum "$disk")
printf '  sha256 of the stick itself   %s\n' "$stick"
printf '  sha256 as host-a reads it    %s\n' "$seen"
expect_equal 'the checksums' "$stick" "$seen"
tell 'Yes: both checksums are equal.'
