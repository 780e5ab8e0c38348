#!/bin/bash
# title: one device that is disk, keyboard, serial and network adapter, all four in use at once on another machine
# machines: uml
# clock: virtual
# timeout: 300
. "${0%/*}/../lib/lab.sh"

LOAD_SERIAL_BYTES=65536

# The first interface of each function, in the order in which gadget_finish puts them together.
drivers=([0]=cdc_acm [2]=cdc_ether [4]=usbhid [5]=usb-storage)

# has_drivers BUSPATH; for wait_for.
has_drivers() {
    local interface
    for interface in "${!drivers[@]}"; do has_driver "$1" "${drivers[interface]}" "$interface" || return; done
}

# network NAME DEVICE ADDRESS gives a host a network device with an address.
network() {
    ip link set "$2" netns "$LAB_HOSTS/$1/net"
    on "$1" ip address add "$3/24" dev "$2"
    on "$1" ip link set "$2" up
}

# The network adapter: data both ways between B and C.
use_network() {
    local listener
    on C lab-tool tcp-exchange listen 10.78.0.3:7 "$LOAD_NET_BYTES" >/run/tcp-exchange &
    listener=$!
    wait_for 5 'the other end listens' grep -q listening /run/tcp-exchange
    on B lab-tool tcp-exchange connect 10.78.0.3:7 "$LOAD_NET_BYTES"
    wait "$listener"
}

step 'two machines 20 ms apart, a device with four functions in A; its network cable leads to a third, C'
host_start A exporter
host_start B importer
host_up C
net_delay 20ms
gadget_composite all 16M
usb=$(device_path all)
wait_for 5 "A's own kernel has all four" has_drivers "$usb"

step 'A shares it, B attaches it'
on A p2pusb share --force "$usb"
pair A B
attach B A all
wait_for 5 "B's kernel drives all four" has_drivers "$attached"
disk_ready "$attached"
wait_for 5 "B's kernel has an input device" input_device "$attached"
wait_for 5 "B's kernel has a serial port" serial_port "$attached"
wait_for 5 "B's kernel has a network device" network_device "$attached"
on B udevadm settle
network B "$(network_device "$attached")" 10.78.0.2
network C "$(gadget_net all)" 10.78.0.3
input=$(input_device "$attached") keys=$(gadget_hid all)
port=$(serial_port "$attached") line=$(gadget_tty all)
dmesg --clear

step 'all four at once, for ten seconds'
load_start disk keyboard serial network
sleep 10
load_goes_on
load_stop
no_complaints
expect_equal 'the disk, on both sides' "$(checksum "$(gadget_file all)")" "$(checksum "$disk")"

step 'B gives it back'
detach B all
wait_for 5 'no port of B is in use' vhci_is_empty
wait_for 5 "A's own kernel has all four back" has_drivers "$usb"
