#!/bin/bash
# title: a board that is being flashed comes back as its bootloader: that follows where both sides say so, and nothing else does
# machines: uml
# clock: virtual
# timeout: 280
. "${0%/*}/../lib/lab.sh"

# put GADGET plugs a gadget in where the last one was, and takes the time.
put() {
    plugged=$EPOCHREALTIME
    gadget_plug "$1"
}

# b_has PRODUCT: B has attached that, and its kernel has found a driver.
b_has() {
    [[ $(bus_get B "$attachment" Attachment State) == attached && $(bus_get B "$attachment" Attachment Product) == "$1" ]]
}

# soon_b_has PRODUCT: within two seconds of its plug. Its bus path on B is left in $attached.
soon_b_has() {
    wait_for 2 "B has attached $1" b_has "$1"
    printf '   %s s after it was plugged in\n' "$(seconds_since "$plugged")"
    attached=$(bus_get B "$attachment" Attachment LocalBusPath)
}

# b_waits_because REGEX: B waits, and says why.
b_waits_because() {
    [[ $(bus_get B "$attachment" Attachment State) == waiting ]] &&
        grep -qE "$1" <<<"$(bus_get B "$attachment" Attachment LastError)"
}

# device_is STATE BUSPATH: what A says of a device.
device_is() {
    [[ $(on A p2pusb --json list | jq -r --arg bus_path "$2" '.devices[] | select(.bus_path == $bus_path).state') == "$1" ]]
}

# nobody_has BUSPATH: A knows the device, does not share it, and B waits for another one.
nobody_has() {
    wait_for 2 'A knows the device' device_is available "$1"
    wait_for 2 "A's own kernel has it" has_driver "$1" usb-storage
    expect_equal 'the share' waiting "$(bus_get A "$share" Share State)"
    expect_equal 'what B does' waiting "$(bus_get B "$attachment" Attachment State)"
}

# disk_is_read: the whole disk, by B.
disk_is_read() {
    disk_ready "$attached"
    expect_equal 'the whole disk, read by B' "$(checksum "$(gadget_file boot)")" "$(checksum "$disk")"
}

# A board, its bootloader with another serial number, and something else.
host_start A exporter
host_start B importer
gadget_create board 0x2e8a 0x000a acm.0
gadget_create boot 0x2e8a 0x0003 mass_storage.0
gadget_medium boot 4M
gadget_create third 0x0525 0xa4a5 mass_storage.0
gadget_medium third 4M

step 'A shares the board and says what its bootloader is; B attaches it, and says nothing'
put board
usb=$(device_path board)
expect_failure 1 '2e8a.*0781:5567' on A p2pusb share "$usb" --follow 2e8a
on A p2pusb share "$usb" --follow 2e8a:0003
share=$(bus_objects A shares)
pair A B
attach B A board
wait_for 5 "B's kernel has a serial port" serial_port "$attached"
attachment=$(attachments B)

step 'the bootloader is offered, and not attached'
gadget_unplug board
put boot
wait_for 2 'B says why it waits' b_waits_because 'attached as 2e8a:000a.*has the id 2e8a:0003.*--follow'
expect_match 'p2pusb status on B' 'has the id 2e8a:0003' "$(on B p2pusb status)"
expect_match 'p2pusb status on A' 'Lab boot +available +every paired peer, also as 2e8a:0003' "$(on A p2pusb status)"
expect_equal 'what A has at the port' "$usb" "$(device_path boot)"
expect 'no port of B is in use' vhci_is_empty
gadget_unplug boot
put board
soon_b_has 'Lab board'

step 'B says that it may come back as that'
detach B board
expect_failure 1 '2e8a.*0781:5567' on B p2pusb attach 'Lab board' --follow 2e8a
wait_for 5 'B is offered the board' offered B A 'Lab board'
on B p2pusb attach 'Lab board' --follow 2e8a:0003
attachment=$(attachments B)
attached=$(attached_path B)
wait_for 5 "B's kernel has a serial port" serial_port "$attached"

step 'into the bootloader, and back, three times'
for _ in 1 2 3; do
    gadget_unplug board
    put boot
    soon_b_has 'Lab boot'
    disk_is_read
    gadget_unplug boot
    put board
    soon_b_has 'Lab board'
    wait_for 5 "B's kernel has a serial port" serial_port "$attached"
done
lab-tool serial-exchange "$(gadget_tty board)" "$(serial_port "$attached")" 4096

step 'p2pusbd on A is started anew while the bootloader is there, then that on B'
gadget_unplug board
put boot
soon_b_has 'Lab boot'
daemon_stop A
wait_for 5 'B waits' bus_is waiting B "$attachment" Attachment State
daemon_start A
wait_for 60 'B has it again' b_has 'Lab boot'
daemon_stop B
daemon_start B
attachment=$(attachments B)
wait_for 60 'B has it again' b_has 'Lab boot'
attached=$(bus_get B "$attachment" Attachment LocalBusPath)
disk_is_read
gadget_unplug boot
put board
soon_b_has 'Lab board'

step 'something else on that port is not the board, nor is the bootloader after it'
gadget_unplug board
put third
nobody_has "$usb"
gadget_unplug third
put boot
nobody_has "$usb"
gadget_unplug boot
put board
soon_b_has 'Lab board'

step 'nor is a bootloader on another port'
gadget_unplug board
gadget_plug third
put boot
other=$(device_path boot)
expect 'it is on another port' test "$other" != "$usb"
nobody_has "$other"
gadget_unplug boot
gadget_unplug third
put board
soon_b_has 'Lab board'

step 'a disk that A itself uses is not taken from it'
gadget_unplug board
detach B board
put boot
disk_ready "$usb"
mkfs.ext4 -q -F "$disk"
mount "$disk" /mnt
wait_for 5 'B is offered it' offered B A 'Lab boot'
expect_failure '1|6' 'mounted at /mnt' on B p2pusb attach 'Lab boot'
umount /mnt
attach B A boot
detach B boot
