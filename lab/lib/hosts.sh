# Hosts: a network, a mount and a host name namespace each, with an own /run, /var/lib/p2pusb, /etc/p2pusb, system bus
# and udevd. USB is not namespaced, so a host's role hides what it would not have: an importer sees no local controllers,
# an exporter no vhci but the controller that simulated.sh may have set aside for it.
# shellcheck shell=bash

LAB_HOSTS=/lab/hosts

# host_up NAME [exporter|importer|both] makes a host without a daemon. NAME is a letter; A has the address 10.77.0.1.
host_up() {
    local name=$1 role=${2:-both} home=$LAB_HOSTS/$1
    if [[ ! -d $LAB_HOSTS ]]; then
        mkdir -p "$LAB_HOSTS"
        # Namespaces can only be kept on a mount that does not propagate.
        mount -t tmpfs --make-private tmpfs "$LAB_HOSTS"
        project_files_install
    fi
    mkdir -p "$home"
    touch "$home"/{net,mount,uts}
    unshare --net="$home/net" --mount="$home/mount" --uts="$home/uts" -- \
        "$LAB_LIB/host-setup" "$name" "$role" "$SIMULATED_ON"
    net_plug "$name"
    on "$name" "$LAB_LIB/host-services"
}

# host_keep NAME: what the host has in its state folder and its settings is on the machine's disk, and outlives a reboot
# (scenarios with "# disk:"). Before host_up.
host_keep() {
    mkdir -p "/lab/kept/$1"/{var/lib,etc}/p2pusb
}

# host_machine NAME makes the guest itself a host, beside those in namespaces: for scenarios with systemd.
host_machine() {
    local home=$LAB_HOSTS/$1
    mkdir -p "$LAB_HOSTS"
    mount -t tmpfs --make-private tmpfs "$LAB_HOSTS"
    mkdir -p "$home"
    touch "$home/machine"
    hostname "$(host_name "$1")"
    net_plug_machine "$1"
}

# host_start NAME [exporter|importer|both] makes a host and starts its p2pusbd.
host_start() {
    host_up "$@"
    daemon_start "$1"
}

# on NAME COMMAND... runs a program in a host.
on() {
    local home=$LAB_HOSTS/$1
    shift
    if [[ -e $home/machine ]]; then
        "$@"
    else
        nsenter --net="$home/net" --mount="$home/mount" --uts="$home/uts" -- "$@"
    fi
}

# host_name NAME: what the host calls itself, and so the label that its peers see.
host_name() {
    printf 'host-%s\n' "${1,,}"
}

# host_address NAME
host_address() {
    printf '10.77.0.%d\n' "$(($(printf '%d' "'$1") - 64))"
}

# package_install installs the package on the guest itself.
package_install() {
    [[ -f ${P2PUSB_DEB:-} ]] || fail 'P2PUSB_DEB has to name the package (cargo xtask deb builds it)'
    # The index of the manual takes longer than all the rest.
    rm -f /var/lib/man-db/auto-update
    dpkg --install "$P2PUSB_DEB"
}

# Installs what the package would install for the bus and polkit into the guest's scratch root.
project_files_install() {
    local file
    mkdir -p /usr/share/dbus-1/{system.d,system-services,interfaces} /usr/share/polkit-1/actions /usr/lib/udev/rules.d
    while read -r file; do
        case $file in
        *.conf) cp "$file" /usr/share/dbus-1/system.d/ ;;
        *.policy) cp "$file" /usr/share/polkit-1/actions/ ;;
        *.rules) cp "$file" /usr/lib/udev/rules.d/ ;;
        esac
    done < <(find "$LAB_REPO"/{packaging,dbus-interfaces,udev-rules} \( -name 'org.p2pusb1.conf' -o -name 'org.p2pusb1.policy' -o -name '*p2pusb.rules' \) -type f)
}
