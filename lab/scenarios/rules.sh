#!/bin/bash
# title: rules of the settings share disks and never a keyboard, whatever else that device is; they are followed at once
# machines: uml
# clock: virtual
# timeout: 180
. "${0%/*}/../lib/lab.sh"

# rules: what A's settings say, from standard input.
rules() {
    on A tee /etc/p2pusb/p2pusb.toml >/dev/null
}

step "A's settings share disks, and nothing that can type"
host_up A exporter
host_start B importer
rules <<'TOML'
[[rule]]
label = "nothing that types"
action = "never-share"
with-interface = "03:*:*"

[[rule]]
label = "disks"
action = "share"
id = "0525:*"
with-interface = { equals = ["08:06:50"] }
peers = ["host-b"]
bandwidth = "50M"
TOML
daemon_start A
pair A B

step 'a disk is plugged in, and B has it'
gadget_disk disk 16M
usb=$(device_path disk)
wait_for 2 'B is offered the disk' offered B A 'Lab disk'
expect_equal 'where the share comes from' rule "$(bus_get A "$(bus_objects A shares)" Share Origin)"
expect_failure 1 'the rule “disks” \(/etc/p2pusb/p2pusb.toml, line 6\).*p2pusb reload' on A p2pusb unshare "$usb"
attach B A disk
disk_ready "$attached"
expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"

expect_equal 'its bandwidth' 50000000 "$(bus_get A "$(bus_objects A shares)" Share Bandwidth)"

step 'whoever is invited to use it is named by that; the rule names B alone'
host_start C importer
on A p2pusb invite --device "$usb" | on C p2pusb pair -
wait_for 5 'C sees the disk' remote_device C A 'Lab disk'

step 'A takes it back for now, and goes on doing so after a restart'
on A p2pusb pause "$usb"
wait_for 5 'the share is paused' share_is A paused
daemon_stop A
daemon_start A
expect_equal 'the share' paused "$(share_state A)"
wait_for 20 'B is connected' peer_is B A online
on A p2pusb resume "$usb"
disk_again() { [[ $(bus_get B "$(attachments B)" Attachment State) == attached ]]; }
wait_for 20 'B has the disk again' disk_again

step 'a disk that is a keyboard as well is never shared'
gadget_composite trick 16M
trick=$(device_path trick)
wait_for 5 "A's own kernel has it" has_driver "$trick" cdc_acm
expect_failure 1 'the rule “nothing that types” \(/etc/p2pusb/p2pusb.toml, line 1\) says never-share' \
    on A p2pusb share --force "$trick"
expect_equal 'shares of A' 1 "$(bus_count A shares)"
expect_match 'p2pusb list --all on A' 'Lab trick +never shared, says a rule' "$(on A p2pusb list --all)"

step 'wrong rules change nothing'
rules <<'TOML'
[[rule]]
action = "share"
id = "525:*"
TOML
expect_failure 1 'p2pusb.toml, line 3: .*0781:' on A p2pusb reload
expect_equal 'shares of A' 1 "$(bus_count A shares)"

step 'a rule about what B uses takes it back'
rules <<'TOML'
rule = [{ action = "never-share", name = "Lab d?sk" }]
TOML
on A p2pusb reload
wait_for 2 "B's attachment is gone" attachments_are B 0
expect_equal 'why it ended' 'Lab disk: share-revoked' "$(ended_reasons B | tail -n 1)"
wait_for 2 "A's own kernel has the disk back" has_driver "$usb" usb-storage
expect_equal 'shares of A' 0 "$(bus_count A shares)"

step 'without rules everybody decides by themselves'
rules </dev/null
on A p2pusb reload
on A p2pusb share "$usb"
attach B A disk
detach B disk
