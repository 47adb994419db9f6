#!/bin/sh
# A private chain, and somebody who mines on it: without a young last block the daemon would look stuck.
# --keep-fakechain: without it every start deletes the chain. --no-zmq: its default port is a wallet's.
set -eu

# The wallet of Monero's own functional tests: its seed is public, what it earns belongs to nobody.
miner_address=42ey1afDFnn4886T7196doS9GPMzexD9gXpsZJDwVjeRVdFCSoHnv7KPbBeGpzJBzHRCAs9UxqeoyFQMYbqSWYTfJJQAWDm
oldest_block_seconds=900

ask() {
    curl -sf -m 20 http://127.0.0.1:18081/json_rpc -H 'Content-Type: application/json' \
        -d "{\"jsonrpc\":\"2.0\",\"id\":\"0\",\"method\":\"$1\",\"params\":$2}"
}

mine() {
    while sleep 15; do
        last=$(ask get_last_block_header '{}' | sed -n 's/.*"timestamp": \([0-9]*\).*/\1/p') || continue
        [ -n "$last" ] || continue
        if [ $(($(date +%s) - last)) -gt "$oldest_block_seconds" ]; then
            ask generateblocks "{\"amount_of_blocks\":1,\"wallet_address\":\"$miner_address\"}" >/dev/null || true
        fi
    done
}

mine &
exec monerod --regtest --keep-fakechain --offline --no-zmq --no-igd --hide-my-port --non-interactive \
    --fixed-difficulty 1 --disable-rpc-ban --data-dir /monero --log-file /tmp/monerod.log \
    --rpc-bind-ip 0.0.0.0 --rpc-bind-port 18081 --confirm-external-bind
