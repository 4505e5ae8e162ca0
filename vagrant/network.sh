#!/usr/bin/env bash
# With OWN_NETWORK=yes: pyproxy on this node, and a Pod network for machines on one Ethernet: a bridge for the node's Pods,
# and a route to those of every other node. Else both are the cluster's matter, as with any node of it.
set -euo pipefail
[ "$OWN_NETWORK" = yes ] || exit 0
ln -sf kubelet.conf /etc/kubernetes/kube-proxy.conf
systemctl restart --no-block pyproxy
cat >/usr/local/sbin/pod-network <<'END'
#!/usr/bin/env bash
# Keeps the routes to other nodes' Pods as the API server has the nodes.
set -u
me=$(hostname | tr '[:upper:]' '[:lower:]')
fields='{range .items[*]}{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'
while :; do
    kubectl --kubeconfig=/etc/kubernetes/kubelet.conf get nodes -o jsonpath="$fields" | while read -r name subnet address; do
        [ -n "$address" ] || continue
        if [ "$name" != "$me" ]; then
            ip route replace "$subnet" via "$address"
        elif [ ! -e /etc/cni/net.d/10-pods.conflist ]; then
            cat >/etc/cni/net.d/10-pods.conflist <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$subnet"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
        fi
    done
    sleep 10
done
END
chmod 755 /usr/local/sbin/pod-network
cat >/etc/systemd/system/pod-network.service <<'END'
[Unit]
Description=Routes to the Pods of other nodes
After=network-online.target
[Service]
ExecStart=/usr/local/sbin/pod-network
Restart=always
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now pod-network
