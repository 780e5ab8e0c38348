# Devices to share: Linux gadgets on the kernel's own virtual cable (dummy_hcd, high speed). Each has the name that the
# scenario gives it, the product name "Lab NAME" and the serial number "lab-NAME".
# shellcheck shell=bash

GADGETS=/sys/kernel/config/usb_gadget

# gadget_disk NAME SIZE: a USB stick of SIZE (64M) with the backing file /dev/shm/NAME.img, full of known data.
gadget_disk() {
    gadget_create "$1" 0x0525 0xa4a5 mass_storage.0
    gadget_medium "$1" "$2"
    gadget_plug "$1"
}

# What the disk function of a gadget is about: a medium of a size.
gadget_medium() {
    local name=$1 lun=$GADGETS/$1/functions/mass_storage.0/lun.0 bytes
    bytes=$(numfmt --from=iec "$2")
    lab-tool random "$(gadget_file "$name")" "$bytes" 1
    echo 1 >"$lun/removable"
    printf '%s' 'p2pusb  Lab disk        1.00' >"$lun/inquiry_string"
    gadget_file "$name" >"$lun/file"
}

# gadget_file NAME: the backing file of a disk.
gadget_file() {
    printf '/dev/shm/%s.img\n' "$1"
}

# gadget_keyboard NAME: a boot keyboard; its reports are written to $(gadget_hid NAME).
gadget_keyboard() {
    gadget_create "$1" 0x1d6b 0x0104 hid.0
    gadget_keys "$1"
    gadget_plug "$1"
}

# What the keyboard function of a gadget is about: its keys.
gadget_keys() {
    local hid=$GADGETS/$1/functions/hid.0
    echo 1 >"$hid/subclass"
    echo 1 >"$hid/protocol"
    echo 8 >"$hid/report_length"
    # The keyboard of the HID specification's appendix B: modifiers, a reserved byte, LEDs, six keys.
    printf '%b' '\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02' \
        '\x95\x01\x75\x08\x81\x03\x95\x05\x75\x01\x05\x08\x19\x01\x29\x05\x91\x02\x95\x01\x75\x03\x91\x03' \
        '\x95\x06\x75\x08\x15\x00\x25\x65\x05\x07\x19\x00\x29\x65\x81\x00\xc0' >"$hid/report_desc"
}

# gadget_security_key NAME: what a FIDO security key says that it is; nobody answers through it.
gadget_security_key() {
    local hid=$GADGETS/$1/functions/hid.0
    gadget_create "$1" 0x1d6b 0x0105 hid.0
    echo 64 >"$hid/report_length"
    # 64 bytes each way on the FIDO Alliance's usage page (CTAP, 11.2.8.1).
    printf '%b' '\x06\xd0\xf1\x09\x01\xa1\x01\x09\x20\x15\x00\x26\xff\x00\x75\x08\x95\x40\x81\x02' \
        '\x09\x21\x15\x00\x26\xff\x00\x75\x08\x95\x40\x91\x02\xc0' >"$hid/report_desc"
    gadget_plug "$1"
}

# gadget_hid NAME: the device that a keyboard's reports are written to.
gadget_hid() {
    printf '/dev/%s\n' "$(basename "$(realpath "/sys/dev/char/$(<"$GADGETS/$1/functions/hid.0/dev")")")"
}

# gadget_serial NAME: a CDC-ACM adapter; what the other end of its line sees is $(gadget_tty NAME).
gadget_serial() {
    gadget_create "$1" 0x0525 0xa4a7 acm.0
    gadget_plug "$1"
}

# gadget_tty NAME
gadget_tty() {
    printf '/dev/ttyGS%s\n' "$(<"$GADGETS/$1/functions/acm.0/port_num")"
}

# gadget_source_sink NAME PATTERN: bulk data without end and a place to drop some, which the driver usbtest takes. What
# is in the data, and has to be in those that are dropped: 0: zeros; 1: each packet counts from 0 to 62, over and over.
gadget_source_sink() {
    gadget_create "$1" 0x0525 0xa4a0 SourceSink.0
    echo "$2" >"$GADGETS/$1/functions/SourceSink.0/pattern"
    gadget_plug "$1"
}

# bulk_endpoint BUSPATH in|out: the address of a bulk endpoint of its first interface.
bulk_endpoint() {
    local endpoint
    for endpoint in "/sys/bus/usb/devices/$1/$1:1.0"/ep_*; do
        if [[ $(<"$endpoint/type") == Bulk && $(<"$endpoint/direction") == "$2" ]]; then
            echo "${endpoint##*/ep_}"
            return
        fi
    done
    return 1
}

# gadget_composite NAME SIZE: one device with a disk, a keyboard, a serial adapter and a network adapter; see the
# functions for each of them. The other end of its cable is the network device $(gadget_net NAME).
gadget_composite() {
    local gadget=$GADGETS/$1
    gadget_create "$1" 0x1d6b 0x0104 mass_storage.0 hid.0 acm.0 ecm.0
    # Miscellaneous, interface associations: each function has a driver of its own.
    echo 0xef >"$gadget/bDeviceClass"
    echo 0x02 >"$gadget/bDeviceSubClass"
    echo 0x01 >"$gadget/bDeviceProtocol"
    gadget_medium "$1" "$2"
    gadget_keys "$1"
    gadget_plug "$1"
}

# gadget_net NAME
gadget_net() {
    cat "$GADGETS/$1/functions/ecm.0/ifname"
}

# gadget_create NAME VENDOR PRODUCT FUNCTION...; what a function needs is set between this and gadget_plug.
gadget_create() {
    local name=$1 vendor=$2 product=$3 gadget=$GADGETS/$1 function
    shift 3
    mkdir -p "$gadget"/{strings/0x409,configs/c.1}
    for function in "$@"; do
        # A function's module has another name.
        case $function in
        SourceSink.*) kernel_module usb_f_ss_lb ;;
        *) kernel_module "usb_f_${function%.*}" ;;
        esac
        mkdir -p "$gadget/functions/$function"
    done
    echo "$vendor" >"$gadget/idVendor"
    echo "$product" >"$gadget/idProduct"
    echo 0x0200 >"$gadget/bcdUSB"
    echo p2pusb >"$gadget/strings/0x409/manufacturer"
    gadget_product "$name" >"$gadget/strings/0x409/product"
    echo "lab-$name" >"$gadget/strings/0x409/serialnumber"
}

# gadget_product NAME
gadget_product() {
    printf 'Lab %s\n' "$1"
}

# gadget_plug NAME plugs the device in, where it was before or into the first free socket.
gadget_plug() {
    local name=$1 controller
    for controller in /sys/class/udc/dummy_udc.*; do
        controller=${controller##*/}
        if ! grep -qx "$controller" "$GADGETS"/*/UDC; then
            gadget_finish "$name"
            echo "$controller" >"$GADGETS/$name/UDC"
            wait_for 5 "the kernel sees the gadget $name" device_path "$name"
            return
        fi
    done
    fail "no dummy_udc is free for $name"
}

# Puts the functions of a gadget that is plugged in for the first time into its configuration.
gadget_finish() {
    local function link
    for function in "$GADGETS/$1/functions/"*; do
        link=$GADGETS/$1/configs/c.1/${function##*/}
        if [[ ! -e $link ]]; then ln -s "$function" "$link"; fi
    done
}

# gadget_unplug NAME pulls it out.
gadget_unplug() {
    echo >"$GADGETS/$1/UDC"
}

# device_path NAME: the bus path (1-1) at which the machine with the gadget has it.
device_path() {
    local device
    for device in /sys/bus/usb/devices/*; do
        if [[ -e $device/serial && $(<"$device/serial") == "lab-$1" && $(realpath "$device") != */vhci_hcd* ]]; then
            echo "${device##*/}"
            return
        fi
    done
    return 1
}

# driver_of BUSPATH [INTERFACE]: the driver that an interface is bound to (interface 0 of configuration 1 by default).
driver_of() {
    local link=/sys/bus/usb/devices/$1:1.${2:-0}/driver
    [[ -e $link ]] && basename "$(realpath "$link")"
}

# has_driver BUSPATH DRIVER [INTERFACE]; for wait_for.
has_driver() {
    [[ $(driver_of "$1" "${3:-0}") == "$2" ]]
}

# input_device BUSPATH: the evdev node of a USB input device.
input_device() {
    local folder
    for folder in "/sys/bus/usb/devices/$1/$1:"*/*/input/input*/event*; do
        if [[ -e $folder ]]; then
            echo "/dev/input/${folder##*/}"
            return
        fi
    done
    return 1
}

# serial_port BUSPATH: the tty of a CDC-ACM device.
serial_port() {
    local folder
    for folder in "/sys/bus/usb/devices/$1/$1:"*/tty/ttyACM*; do
        if [[ -e $folder ]]; then
            echo "/dev/${folder##*/}"
            return
        fi
    done
    return 1
}

# network_device BUSPATH: the network device of a USB network adapter.
network_device() {
    local folder
    for folder in "/sys/bus/usb/devices/$1/$1:"*/net/*; do
        if [[ -e $folder ]]; then
            echo "${folder##*/}"
            return
        fi
    done
    return 1
}

# vhci_used: how many vhci ports anything is attached to, not counting those for simulated devices.
vhci_used() {
    local status used=0 here
    for status in /sys/devices/platform/vhci_hcd.0/status*; do
        if [[ $status != "$(simulated_status)" ]]; then
            here=$(awk '$2 ~ /^[0-9]+$/ && $3 != "004"' "$status" | wc -l)
            used=$((used + here))
        fi
    done
    echo "$used"
}

# vhci_is_empty; for wait_for.
vhci_is_empty() {
    (($(vhci_used) == 0))
}
