# Hosts behind NAT: each behind a router of its own, which has the host's address in the network and lets nothing in that
# was not asked for.
# shellcheck shell=bash

# What every host behind NAT is called there: two homes with the same addresses are nothing unusual.
NAT_INSIDE=192.168.1.2
NAT_ROUTER=192.168.1.1

# net_nat NAME puts a router between a host and its cable. Before its daemon starts.
net_nat() {
    local name=$1 home=$LAB_HOSTS/$1
    touch "$home/router"
    unshare --net="$home/router" -- ip link set lo up
    nsenter --net="$home/net" -- ip link set eth0 netns "$home/router"
    nsenter --net="$home/router" -- ip link add inside type veth peer name eth0 netns "$home/net"
    net_neighbours eth0 "$name" | on_router "$name" ip -batch -
    on_router "$name" ip -batch - <<<"address add $NAT_ROUTER/24 dev inside
link set inside up"
    on "$name" ip -batch - <<<"address add $NAT_INSIDE/24 dev eth0
link set eth0 up
route add default via $NAT_ROUTER"
    # What is sent to the outside keeps its port as long as nobody else has it, as with most routers for homes.
    on_router "$name" sysctl -q net.ipv4.ip_forward=1
    on_router "$name" nft -f - <<'RULES'
table ip home {
    set dark { type ipv4_addr; }
    chain outgoing {
        type nat hook postrouting priority srcnat;
        oifname "eth0" masquerade
    }
    chain through {
        type filter hook forward priority filter; policy drop;
        ip saddr @dark drop
        ip daddr @dark drop
        iifname "inside" accept
        ct state established,related accept
    }
    chain to_router {
        type filter hook input priority filter; policy drop;
    }
}
RULES
}

# on_router NAME COMMAND... runs a program on a host's router.
on_router() {
    local router=$LAB_HOSTS/$1/router
    shift
    nsenter --net="$router" -- "$@"
}

# net_dark NAME OTHER: the router of NAME lets nothing more through from or to host OTHER, without a word. All others are
# reached as before.
net_dark() {
    on_router "$1" nft add element ip home dark "{ $(host_address "$2") }"
}

# net_light NAME OTHER: ends net_dark.
net_light() {
    on_router "$1" nft delete element ip home dark "{ $(host_address "$2") }"
}
