#!/bin/bash
# title: the network goes for 1, 10 and 30 seconds in the middle of a write, and nobody notices
# machines: uml
# clock: virtual
# timeout: 600
. "${0%/*}/../lib/lab.sh"

# As much as a cut of every length needs before and after it.
size=${LAB_SIZE:-16M}
times=3

# written SECTORS: whether B's kernel has written more than that to the disk so far. It costs no process, and so no time
# that the writer could use.
written() {
    (($(sectors) > $1))
}

# sectors: how many B's kernel has written, Documentation/block/stat.rst.
sectors() {
    local statistics
    read -ra statistics <"/sys/block/${disk##*/}/stat"
    echo "${statistics[6]}"
}

step 'two machines 20 ms apart; B uses a disk of A'
host_start A exporter
host_start B importer
net_delay 20ms
gadget_disk disk $size
usb=$(device_path disk)
on A p2pusb share "$usb"
pair A B
attach B A disk
disk_ready "$attached"
attachment=$(bus_objects B attachments)
on B udevadm settle
expect_equal 'how long B waits for a command' 90 "$(cat "/sys/block/${disk##*/}/device/timeout")"
watch_commands "$usb" "$attached"
dmesg --clear

for seconds in 1 10 30; do
    for ((time = 1; time <= times; time++)); do
        step "cut for $seconds s, for the ${time}. time"
        lab-tool random /dev/shm/data "$(numfmt --from=iec $size)" "$seconds$time"
        before=$(sectors)
        dd if=/dev/shm/data of="$disk" bs=1M conv=fsync status=none &
        writer=$!
        wait_for 60 'the write is under way' written $((before + 2048 * (1 + 3 * time)))
        net_cut B
        sleep "$seconds"
        expect 'the write is not over' kill -0 "$writer"
        if ((seconds == 30)); then
            expect_equal 'what B calls it' reconnecting "$(bus_get B "$attachment" Attachment State)"
            expect_match 'p2pusb status on B' reconnecting "$(on B p2pusb status)"
        fi
        net_join B
        wait "$writer" || fail "the write failed with status $?"
        wait_for 10 'the attachment is in order' bus_is attached B "$attachment" Attachment State
        expect_equal 'what A has' "$(checksum /dev/shm/data)" "$(checksum "$(gadget_file disk)")"
        no_complaints
    done
done

expect_equal 'what B reads' "$(checksum /dev/shm/data)" "$(checksum "$disk")"

step 'no command ran twice, none was lost'
expect_commands_once 1000

step 'B gives it back'
detach B disk
wait_for 5 "A's own kernel has the disk back" has_driver "$usb" usb-storage
