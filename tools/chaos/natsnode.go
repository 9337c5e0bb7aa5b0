package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsMode makes this program be one NATS server, so that it can be killed,
// paused and started again on its store like any other process.
const natsMode = "nats"

// A natsNode is one server of the set. Its ports outlive its processes.
type natsNode struct {
	Name    string
	Store   string
	Port    int
	Cluster int // the port for the other servers; 0 stands alone
	Routes  []int
}

func (n natsNode) url() string { return "nats://" + loopback(n.Port) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// planNodes chooses the ports of a set of servers.
func planNodes(count int, store func(i int) string) ([]natsNode, error) {
	ports, err := freePorts(2 * count)
	if err != nil {
		return nil, err
	}
	nodes := make([]natsNode, count)
	for i := range nodes {
		nodes[i] = natsNode{Name: "n" + strconv.Itoa(i+1), Store: store(i), Port: ports[i]}
		if count > 1 {
			nodes[i].Cluster, nodes[i].Routes = ports[count+i], ports[count:]
		}
	}
	return nodes, nil
}

// freePorts returns ports of loopback that nobody listens on at the moment.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a port: %w", err)
		}
		defer l.Close() // all at once, so that no port is given twice
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("find a port: no TCP address")
		}
		ports = append(ports, addr.Port)
	}
	return ports, nil
}

// runNATSNode serves until stdin ends, which it does however its parent goes.
func runNATSNode(args []string, stdin io.Reader) error {
	if len(args) != 1 {
		return errors.New("chaos nats: one argument, the node")
	}
	var n natsNode
	if err := json.Unmarshal([]byte(args[0]), &n); err != nil {
		return fmt.Errorf("chaos nats: %w", err)
	}
	o := &server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Port, NoSigs: true,
		JetStream: true, StoreDir: n.Store, JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 256 << 20,
		DisableJetStreamBanner: true, SyncAlways: true,
		// Soon noticed: a paused server is the fault that takes longest to see.
		PingInterval: 2 * time.Second, MaxPingsOut: 2,
	}
	if n.Cluster != 0 {
		o.Cluster = server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: n.Cluster}
		for _, p := range n.Routes {
			if p != n.Cluster {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: loopback(p)})
			}
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("chaos nats: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	_, err = io.Copy(io.Discard, stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return err
}
