#!/bin/sh
# The nginx container's hooks, as on the talk's slides 38 and 55. `consul-template` is pilotfish under that name.
set -eu
here=$(dirname "$0")
conf=${NGINX_DIR:-/etc/nginx}/nginx.conf

# Render Nginx configuration template using values from Consul, but do not reload because Nginx hasn't started yet
preStart() {
    consul-template -once -consul "$CONSUL" -template "$here/nginx.conf.ctmpl:$conf"
}

# Render Nginx configuration template using values from Consul, then gracefully reload Nginx
onChange() {
    consul-template -once -consul "$CONSUL" -template "$here/nginx.conf.ctmpl:$conf:nginx -e stderr -c $conf -s reload"
}

case ${1:-onChange} in
    preStart) preStart ;;
    onChange) onChange ;;
    *) echo "usage: $0 [preStart|onChange]" >&2; exit 2 ;;
esac
