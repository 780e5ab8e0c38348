#!/bin/bash
# title: a udev rule shares a disk, without any command; it is attached by itself after replugging and restarts
# machines: uml
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

# again: B has the disk, and every byte of it, without anybody asking for it.
again() {
    wait_for 5 'B has attached it again' bus_is attached B "$attachment" Attachment State
    disk_ready "$(bus_get B "$attachment" Attachment LocalBusPath)"
    expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
}

step 'A has a rule about disks, and is paired with B; nothing is shared'
host_start A exporter
host_start B importer
udev_rule A "ENV{P2PUSB_SHARE}=\"1\", ENV{P2PUSB_PEERS}=\"$(host_name C), $(host_name B)\""
pair A B
expect_equal 'shares of A' 0 "$(bus_count A shares)"

step 'a disk is plugged in: B sees it within two seconds'
gadget_disk disk 16M
usb=$(device_path disk)
wait_for 2 'B is offered the disk' offered B A 'Lab disk'
share=$(bus_objects A shares)
expect_equal 'where the share comes from' udev "$(bus_get A "$share" Share Origin)"
expect_match 'p2pusb status on A' "$(host_name C), $(host_name B), by a udev rule" "$(on A p2pusb status)"
attach B A disk
attachment=$(bus_objects B attachments)
again

step 'nobody changes that by hand'
expect_failure 1 'P2PUSB_SHARE.*udevadm' on A p2pusb unshare "$usb"
expect_failure 1 'P2PUSB_SHARE.*udevadm' on A p2pusb share "$usb"
expect_failure 1 'ShareDerived|P2PUSB_SHARE' bus_call A "$share" Share SetPeers 'aoa{sv}' 0 0

step 'it is pulled out and plugged in again'
gadget_unplug disk
wait_for 2 'B waits for it' bus_is waiting B "$attachment" Attachment State
expect_equal 'shares of A' 0 "$(bus_count A shares)"
gadget_plug disk
again
expect_equal 'the share of A' "$share" "$(bus_objects A shares)"

step 'p2pusbd is restarted on A'
daemon_stop A
wait_for 2 'B waits for it' bus_is waiting B "$attachment" Attachment State
daemon_start A
again
expect_equal 'the share of A' "$share" "$(bus_objects A shares)"

step 'p2pusbd is restarted on B'
daemon_stop B
daemon_start B
attachment=$(bus_objects B attachments)
again

step 'the rule names B no longer: its use of the disk ends'
udev_rule A "ENV{P2PUSB_SHARE}=\"1\", ENV{P2PUSB_PEERS}=\"$(host_name C)\""
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: share-revoked' "$(ended_reasons B)"
expect 'B is not offered it' not remote_device B A 'Lab disk'
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage

step 'the one that it names is paired, and sees the disk'
host_start C importer
pair A C
wait_for 2 'C is offered the disk' offered C A 'Lab disk'
expect 'B is not offered it' not remote_device B A 'Lab disk'

step 'what is to be ignored is not shared, and what nothing is said of is not either'
udev_rule A 'ENV{P2PUSB_SHARE}="1", ENV{P2PUSB_IGNORE}="1"'
wait_for 2 'A shares nothing' shares_are A 0
udev_rule A ''
expect_failure 3 '.' on C p2pusb attach 'Lab disk'

step 'a disk that A has mounted is shared, and refused'
disk_ready "$usb"
mkfs.ext4 -q -F "$disk"
mkdir -p /mnt/udev-share
on A mount "$disk" /mnt/udev-share
udev_rule A 'ENV{P2PUSB_SHARE}="1"'
wait_for 2 'B is offered the disk' offered B A 'Lab disk'
expect_failure '1|6' 'depends on it: .*mounted at /mnt/udev-share' on B p2pusb attach 'Lab disk'
expect_equal 'the driver of the disk' usb-storage "$(driver_of "$usb")"
on A umount /mnt/udev-share
attach B A disk
detach B disk
