#!/bin/sh
# A private chain. Nobody mines on it unless asked: RandomX would hold half a gigabyte from the first block on.
# --keep-fakechain: without it every start deletes the chain. --no-zmq: its default port is a wallet's.
exec monerod --regtest --keep-fakechain --offline --no-zmq --no-igd --hide-my-port --non-interactive \
    --fixed-difficulty 1 --disable-rpc-ban --data-dir /monero --log-file /tmp/monerod.log \
    --rpc-bind-ip 0.0.0.0 --rpc-bind-port 18081 --confirm-external-bind
