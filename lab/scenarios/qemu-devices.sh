#!/bin/bash
# title: what QEMU plugs into its USB 3 controller: a disk, pulled out while another machine has it, and a keyboard
# machines: qemu
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# The file behind the disk: QEMU runs in the folder that is $LAB_OUT here.
file=$LAB_OUT/stick.img
product='QEMU USB HARDDRIVE'

device_gone() {
    [[ ! -e /sys/bus/usb/devices/$attached ]]
}

step 'two machines, a USB 3 stick in A'
host_start A exporter
host_start B importer
lab-tool random "$file" $((16 * 1024 * 1024)) 1
machine_drive medium stick.img
machine_plug usb-storage,id=stick,drive=medium,serial=lab-stick
wait_for 5 "A's own kernel sees it" device_path stick
usb=$(device_path stick)
wait_for 5 "A's own kernel has the disk" has_driver "$usb" usb-storage
expect_equal 'its speed' 5000 "$(<"/sys/bus/usb/devices/$usb/speed")"

step 'A shares it, B attaches it'
on A p2pusb share "$usb"
pair A B
wait_for 10 "B is offered $product" offered B A "$product"
on B p2pusb attach "$product"
attached=$(attached_path B "$product")
disk_ready "$attached"
expect_equal 'its speed on B' 5000 "$(<"/sys/bus/usb/devices/$attached/speed")"
expect_equal 'the whole disk, read by B' "$(checksum "$file")" "$(checksum "$disk")"
lab-tool disk-bench "$disk" 1048576 65536 2
expect_equal 'the disk after B has written' "$(checksum "$file")" "$(checksum "$disk")"

step 'it is pulled out'
machine_unplug stick
unplugged=$EPOCHREALTIME
wait_for 1 "B's kernel sees the device go" device_gone
echo "   gone after $(seconds_since "$unplugged") s"
wait_for 1 "B's attachment waits for it" bus_is waiting B "$(attachments B)" Attachment State
echo "   gone after $(seconds_since "$unplugged") s"
expect_equal 'why it ended' "$product: device-unplugged" "$(ended_reasons B)"
on B p2pusb detach --all
expect 'no port of B is in use' vhci_is_empty

step 'a keyboard in A, which QEMU types on'
machine_plug usb-kbd,id=keys,serial=lab-keys
wait_for 5 "A's own kernel sees it" device_path keys
usb=$(device_path keys)
wait_for 5 "A's own kernel has the keyboard" has_driver "$usb" usbhid
product=$(<"/sys/bus/usb/devices/$usb/product")
on A p2pusb share --force "$usb"
wait_for 10 "B is offered $product" offered B A "$product"
on B p2pusb attach "$product"
attached=$(attached_path B "$product")
wait_for 5 "B's kernel has an input device" input_device "$attached"
# What read-keys expects to be typed first.
keys=(a h o v c j q x e l)
lab-tool read-keys "$(input_device "$attached")" "${#keys[@]}" >/run/read-keys &
reader=$!
wait_for 5 'the reader listens' grep -q reading /run/read-keys
for key in "${keys[@]}"; do machine_monitor sendkey "$key"; done
wait "$reader"
cat /run/read-keys
on B p2pusb detach "$product"
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has the keyboard back" has_driver "$usb" usbhid
