#!/bin/sh
# The nginx container's hooks: write nginx.conf from the catalog, and have a running nginx take it up.
set -eu
here=$(dirname "$0")
dir=${NGINX_DIR:-/etc/nginx}
conf=$dir/nginx.conf

# Both backends may change at once; the hook that asked the catalog last must also be the last to write.
exec 9> "$dir/reload.lock"
flock 9

# Before nginx runs: there must be a configuration, and it must be valid.
preStart() {
    node "$here/render.js"
    nginx -q -t -e stderr -c "$conf"
}

# While it runs: a graceful reload, so that no request is lost. An nginx that still starts may have read the old file and not yet
# written its pid, so the reload is tried for five seconds.
onChange() {
    [ "$(node "$here/render.js")" = changed ] || exit 0
    tries=50
    until nginx -q -e stderr -c "$conf" -s reload 9>&-; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || exit 1
        sleep 0.1
    done
}

case ${1:-onChange} in
    preStart) preStart ;;
    onChange) onChange ;;
    *) echo "usage: $0 [preStart|onChange]" >&2; exit 2 ;;
esac
