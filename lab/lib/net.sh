# The network between the hosts: a switch (a bridge of the guest) with one cable per host. No route leads out of it.
# shellcheck shell=bash

# Hosts are told each other's addresses once and for all, so that a cut looks as it does far away: silence, where a
# neighbour that can't be resolved would be reported to the sender.
NET_HOSTS=(A B C D)

NET_DELAY_US=0
NET_LOSS=0%

# net_plug NAME gives a host its eth0.
net_plug() {
    local name=$1 cable=cable-${1,,}
    net_switch
    ip link add "$cable" type veth peer name eth0 address "$(net_hardware_address "$name")" netns "$LAB_HOSTS/$name/net"
    ip link set "$cable" master switch up
    net_neighbours eth0 "$name" | on "$name" ip -batch -
    net_shape "$cable"
}

# net_plug_machine NAME gives the guest itself an address beside the hosts.
net_plug_machine() {
    net_switch
    ip link set switch address "$(net_hardware_address "$1")"
    net_neighbours switch "$1" | ip -batch -
}

net_switch() {
    if [[ ! -d /sys/class/net/switch ]]; then
        kernel_module bridge veth sch_netem
        ip link add switch type bridge forward_delay 0
        ip link set switch up
    fi
}

net_hardware_address() {
    printf '02:00:00:00:00:%02x\n' "'$1"
}

# The commands that give DEVICE the address of host NAME and the others' addresses.
net_neighbours() {
    local device=$1 name=$2 other
    echo "address add $(host_address "$name")/24 dev $device"
    echo "link set $device up"
    for other in "${NET_HOSTS[@]}"; do
        if [[ $other != "$name" ]]; then
            echo "neighbour replace $(host_address "$other") lladdr $(net_hardware_address "$other") dev $device nud permanent"
        fi
    done
}

# net_delay RTT: a round trip between any two hosts takes this much longer (20ms, 500us), half of it each way.
net_delay() {
    case $1 in
    *us) NET_DELAY_US=$((${1%us} / 2)) ;;
    *ms) NET_DELAY_US=$((${1%ms} * 1000 / 2)) ;;
    *) fail "net_delay: $1 is neither milliseconds nor microseconds" ;;
    esac
    net_shape_all
}

# net_loss PERCENT: each packet is lost with this probability (1%, 0.1%).
net_loss() {
    NET_LOSS=$1
    net_shape_all
}

# net_reset: no delay and no loss.
net_reset() {
    NET_DELAY_US=0 NET_LOSS=0%
    net_shape_all
}

# net_cut NAME...: from now on nothing reaches these hosts and nothing leaves them. Their links stay up.
net_cut() {
    local name
    for name in "$@"; do ip link set "cable-${name,,}" nomaster; done
}

# net_join NAME...: ends net_cut.
net_join() {
    local name
    for name in "$@"; do ip link set "cable-${name,,}" master switch; done
}

# net_gateway NAME gives a host a default route, which every machine with a network has, through a gateway that is silent.
net_gateway() {
    on "$1" ip route replace default via 10.77.0.254 dev eth0
}

# net_readdress NAME NUMBER: the host has another address from now on, 10.77.0.NUMBER, and the one that it had is gone:
# what it is when somebody leaves one network and enters another.
net_readdress() {
    local name=$1 address=10.77.0.$2 other
    for other in "${NET_HOSTS[@]}"; do
        if [[ $other != "$name" && -e $LAB_HOSTS/$other/net ]]; then
            on "$other" ip neighbour replace "$address" lladdr "$(net_hardware_address "$name")" dev eth0 nud permanent
        fi
    done
    # With its last address a device loses its neighbours and routes, too.
    {
        echo "address flush dev eth0 scope global"
        net_neighbours eth0 "$name" | sed "s|address add [0-9.]*|address add $address|"
    } | on "$name" ip -batch -
    net_gateway "$name"
}

# net_bytes NAME: how many bytes this host has sent and received so far.
net_bytes() {
    local cable=/sys/class/net/cable-${1,,}/statistics
    echo $(($(<"$cable/tx_bytes") + $(<"$cable/rx_bytes")))
}

net_shape_all() {
    local cable
    for cable in /sys/class/net/cable-*; do net_shape "${cable##*/}"; done
}

# What leaves the switch through a cable is delayed: one direction of each round trip.
net_shape() {
    if ((NET_DELAY_US == 0)) && [[ $NET_LOSS == 0% ]]; then
        tc qdisc delete dev "$1" root 2>/dev/null || true
    else
        # Netem's default of 1000 packets would drop what a fast transfer has under way.
        tc qdisc replace dev "$1" root netem delay "${NET_DELAY_US}us" loss "$NET_LOSS" limit 100000
    fi
}
