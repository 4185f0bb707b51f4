#!/usr/bin/env bash
# Hosts on one machine, as root: network namespaces that a bridge joins, each with a host name of its own.
#   hosts.sh up COUNT [RATE]    RATE as tc takes it, such as 10gbit: of what each host sends
#   hosts.sh down
#   hosts.sh ADDRESS COMMAND...    runs a command there; the shell of launchers, in place of ssh:
#     ip netns exec slimclr1 mpirun --mca plm_rsh_agent "$PWD/tools/mpi/hosts.sh" --mca btl tcp,self \
#       --mca btl_tcp_if_include eth0 --bind-to none --host 10.77.0.1,10.77.0.2 ...
#     UCX_TLS=tcp,self ip netns exec slimclr1 mpiexec -launcher-exec "$PWD/tools/mpi/hosts.sh" -hosts 10.77.0.1,10.77.0.2 ...
set -euo pipefail

up() { # COUNT [RATE]
  ip netns add slimclr0
  ip -n slimclr0 link add bridge type bridge
  ip -n slimclr0 link set bridge up
  for i in $(seq "$1"); do
    ip netns add "slimclr$i"
    ip link add eth0 netns "slimclr$i" type veth peer name "port$i" netns slimclr0
    ip -n slimclr0 link set "port$i" master bridge up
    ip -n "slimclr$i" link set lo up
    ip -n "slimclr$i" addr add "10.77.0.$i/24" dev eth0
    ip -n "slimclr$i" link set eth0 up
    if [ -n "${2:-}" ]; then
      ip netns exec "slimclr$i" tc qdisc add dev eth0 root tbf rate "$2" burst 256kb latency 5ms
    fi
  done
}

down() {
  for name in $(ip netns list | awk '$1 ~ /^slimclr[0-9]+$/ { print $1 }'); do ip netns delete "$name"; done
}

# Options of ssh come before the address.
on() {
  while [[ $1 == -* ]]; do shift; done
  local host=slimclr${1##*.}
  shift
  exec ip netns exec "$host" unshare --uts sh -c "hostname $host; exec sh -c \"\$0\"" "$*"
}

case $1 in
  up | down) "$@" ;;
  *) on "$@" ;;
esac
