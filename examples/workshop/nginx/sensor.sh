#!/bin/sh
# Prints one number about nginx, from its stub_status page:
#   Active connections: 1
#   server accepts handled requests
#    10 10 25
set -eu
status=$(curl --fail -s "http://localhost:${NGINX_PORT:-80}/health")

case ${1:-} in
    # Accepted but not handled: nginx had no connection left for them.
    unhandled) echo "$status" | awk 'NR == 3 { print $1 - $2 }' ;;
    # Part of the connections that may be open which is open.
    connections_load) echo "$status" | awk -v max="${WORKER_CONNECTIONS:-1024}" 'NR == 1 { print $3 / max }' ;;
    *) echo "usage: $0 unhandled|connections_load" >&2; exit 2 ;;
esac
